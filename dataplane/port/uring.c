/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel UDP sockets through io_uring. A socket is asked for what it has by a multishot receive that does not wait, and takes its
 * buffers from a ring shared by all; a burst of sends is one system call. Completions are reaped into `in` (received, not yet
 * given out) and `tx_free`.
 *
 * Only who is about to sleep polls the sockets. A receive that waited would have each datagram wake it, at its sender's cost, also
 * while we work: of a rekey's CPU time, a tenth. */
#include "port/port.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "port/udp.h"
#include "port/util.h"

#define BUFS 1024u
#define BUFS_MAX 32768u
#define RCVBUF (32u << 20) /* the first messages of 65,536 clients at once; only what waits takes memory */
#define SQ 256u
#define RX_BUF 2048u /* result, name, control, data */
#define REAP 64u
#define PROVIDED 320u /* buffers that the kernel has at a time: few enough for the caches, more than all sockets take in one look */
#define LOOK_AGAIN 16u /* so many in one look: the kernel ends a receive after some thirty (since 6.8), there may be more */
#define LOOKS 64u /* in one burst: what is dropped has an end, however much of it comes */
#define NS_PER_S 1000000000u

enum kind { RECV, SEND, WAKE, READY }; /* what a completion belongs to: user_data is kind << 32 | index */

struct tx_buf { /* the kernel reads all of it until the completion */
	struct msghdr msg;
	struct iovec iov;
	union gm_udp_name name;
	uint64_t control[GM_UDP_CONTROL / 8];
	uint8_t data[GM_DGRAM_TX_CAP];
};

struct received {
	uint32_t buf;
	uint16_t socket;
	int32_t len; /* of the buffer, all parts */
};

struct uring_port {
	const struct gm_port_ops *ops;
	struct io_uring ring;
	bool ring_open;
	struct gm_udp udp[GM_LISTEN_MAX];
	bool watched[GM_LISTEN_MAX]; /* it is polled */
	bool quiet; /* nothing is asked for: sockets of a predecessor, or on their way to a successor */
	bool halted;
	unsigned udp_n;

	struct msghdr rx_form; /* tells the kernel how to divide a receive buffer */
	struct io_uring_buf_ring *rx_ring;
	uint8_t (*rx)[RX_BUF];
	struct received *in; /* circular */
	uint32_t rx_n, in_head, in_tail, provided;
	struct gm_free rx_free; /* neither the kernel's nor the caller's */

	struct tx_buf *tx;
	struct gm_free tx_free;

	int event;
	uint64_t event_count;
	_Atomic bool wake_sent;
	bool wake_armed, woken, came; /* came: to a socket that was polled */
	bool cut;       /* an empty datagram ended a receive: there may be more */
	unsigned first; /* socket that is asked first, another one each time: it may take all buffers */
	struct gm_port_stats stats;
};

static struct uring_port *uring(const struct gm_port *port)
{
	return (struct uring_port *)(uintptr_t)port;
}

static struct io_uring_sqe *get_sqe(struct uring_port *u)
{
	struct io_uring_sqe *sqe;

	while (!(sqe = io_uring_get_sqe(&u->ring)))
		io_uring_submit(&u->ring);
	return sqe;
}

static void name_sqe(struct io_uring_sqe *sqe, enum kind kind, uint32_t index)
{
	sqe->user_data = (uint64_t)kind << 32 | index;
}

/* Those that came back last go first: the caches have them still. */
static void provide(struct uring_port *u)
{
	unsigned n = 0;

	for (uint32_t buf; u->provided + n < PROVIDED && gm_free_get(&u->rx_free, &buf); n++)
		io_uring_buf_ring_add(u->rx_ring, u->rx[buf], RX_BUF, (unsigned short)buf, (int)(u->rx_n - 1), (int)n);
	io_uring_buf_ring_advance(u->rx_ring, (int)n);
	u->provided += n;
}

/* All is completed when it was submitted: nothing waits. */
static void ask(struct uring_port *u)
{
	u->first++;
	for (uint32_t n = 0; n < u->udp_n; n++) {
		const uint32_t i = (u->first + n) % u->udp_n;
		struct io_uring_sqe *sqe = get_sqe(u);

		io_uring_prep_recvmsg_multishot(sqe, (int)i, &u->rx_form, MSG_DONTWAIT);
		sqe->flags |= IOSQE_BUFFER_SELECT | IOSQE_FIXED_FILE;
		sqe->buf_group = 0;
		name_sqe(sqe, RECV, i);
	}
	io_uring_submit(&u->ring);
}

static void poll_file(struct uring_port *u, enum kind kind, uint32_t i)
{
	struct io_uring_sqe *sqe = get_sqe(u);

	if (kind == WAKE)
		io_uring_prep_poll_multishot(sqe, (int)u->udp_n, POLLIN); /* u->event, as registered */
	else
		io_uring_prep_poll_add(sqe, (int)i, POLLIN);
	sqe->flags |= IOSQE_FIXED_FILE;
	name_sqe(sqe, kind, i);
}

/* What cannot be received for want of buffers must not end the wait, or the caller would spin. */
static void watch(struct uring_port *u)
{
	for (uint32_t i = 0; i < u->udp_n && u->provided && !u->quiet; i++)
		if (!u->watched[i]) {
			poll_file(u, READY, i);
			u->watched[i] = true;
		}
	if (!u->wake_armed)
		poll_file(u, WAKE, 0);
	u->wake_armed = true;
}

/* ------------------------------------------------------------------ completions */

static void on_recv(struct uring_port *u, const struct io_uring_cqe *cqe)
{
	uint32_t i = (uint32_t)cqe->user_data;

	if (cqe->flags & IORING_CQE_F_BUFFER) {
		u->provided--;
		u->in[u->in_tail++ & (u->rx_n - 1)] = (struct received){
		    .buf = cqe->flags >> IORING_CQE_BUFFER_SHIFT, .socket = (uint16_t)i, .len = cqe->res};
	}
	u->stats.rx_cut += cqe->res < 0 && cqe->res != -EAGAIN;
	u->cut |= cqe->res >= 0 && !(cqe->flags & IORING_CQE_F_MORE);
}

static void on_send(struct uring_port *u, const struct io_uring_cqe *cqe)
{
	u->stats.tx_failed += cqe->res < 0;
	gm_free_put(&u->tx_free, (uint32_t)cqe->user_data);
}

/* Whoever finds wake_sent set does not write; so it is cleared only after the read, and woken is set after both. */
static void on_wake(struct uring_port *u, const struct io_uring_cqe *cqe)
{
	if (!(cqe->flags & IORING_CQE_F_MORE))
		u->wake_armed = false;
	if (read(u->event, &u->event_count, sizeof(u->event_count)) == sizeof(u->event_count))
		atomic_exchange(&u->wake_sent, false);
	u->woken = true;
}

static void on_ready(struct uring_port *u, const struct io_uring_cqe *cqe)
{
	u->watched[(uint32_t)cqe->user_data] = false;
	u->came = true;
}

static void reap(struct uring_port *u)
{
	static void (*const on[])(struct uring_port *, const struct io_uring_cqe *) = {
	    [RECV] = on_recv, [SEND] = on_send, [WAKE] = on_wake, [READY] = on_ready};
	struct io_uring_cqe *cqe[REAP];
	unsigned n;

	while ((n = io_uring_peek_batch_cqe(&u->ring, cqe, REAP)) > 0) {
		for (unsigned i = 0; i < n; i++)
			on[cqe[i]->user_data >> 32](u, cqe[i]);
		io_uring_cq_advance(&u->ring, n);
	}
}

/* ------------------------------------------------------------------ opening and closing */

static uint32_t completions_max(const struct uring_port *u)
{
	uint32_t n = 4 * SQ;

	while (n < u->rx_n + u->tx_free.cap + REAP)
		n *= 2;
	return n;
}

static bool open_ring(struct uring_port *u)
{
	struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
	                                          IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL |
	                                          IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED,
	                                 .cq_entries = completions_max(u)};
	int r = io_uring_queue_init_params(SQ, &u->ring, &params);

	u->ring_open = r == 0;
	errno = -r;
	return u->ring_open;
}

static bool open_buffers(struct uring_port *u)
{
	size_t ring_size = u->rx_n * sizeof(struct io_uring_buf);
	void *p = mmap(NULL, ring_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return false;
	u->rx_ring = p;
	struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)p, .ring_entries = u->rx_n};
	int r = io_uring_register_buf_ring(&u->ring, &reg, 0);

	errno = -r;
	if (r < 0)
		return false;
	io_uring_buf_ring_init(u->rx_ring);
	provide(u);
	return true;
}

static bool allocate(struct uring_port *u, const struct gm_port_config *config)
{
	uint32_t tx_n = config->tx_bufs ? config->tx_bufs : BUFS;

	u->rx_n = config->rx_bufs ? config->rx_bufs : BUFS;
	if (u->rx_n > BUFS_MAX)
		u->rx_n = BUFS_MAX;
	u->rx = calloc(u->rx_n, sizeof(*u->rx));
	u->in = calloc(u->rx_n, sizeof(*u->in));
	u->tx = calloc(tx_n, sizeof(*u->tx));
	return u->rx && u->in && u->tx && gm_free_start(&u->rx_free, u->rx_n) && gm_free_start(&u->tx_free, tx_n);
}

/* Sockets are known to the ring by their place: the kernel does not look for them anew with each send. Behind them the event. */
static bool register_files(struct uring_port *u)
{
	int fds[GM_LISTEN_MAX + 1];

	for (unsigned i = 0; i < u->udp_n; i++)
		fds[i] = u->udp[i].fd;
	fds[u->udp_n] = u->event;
	int r = io_uring_register_files(&u->ring, fds, u->udp_n + 1);
	errno = -r;
	return r == 0;
}

/* A filter of system calls does not see what goes by the ring. So the ring takes these alone, on the files that it has, and
 * no others come in. It was made disabled, which is when that can be said. */
static bool restrict_and_enable(struct uring_port *u)
{
	static const struct io_uring_restriction only[] = {
	    {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_RECVMSG},
	    {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_SENDMSG},
	    {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_SEND},
	    {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_POLL_ADD},
	    {.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT},
	    {.opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED, .sqe_flags = IOSQE_FIXED_FILE},
	    {.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_SYNC_CANCEL},
	    {.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_UNREGISTER_FILES},
	};
	int fd = u->ring.ring_fd; /* Debian's liburing has no function for either */

	return syscall(SYS_io_uring_register, fd, IORING_REGISTER_RESTRICTIONS, only, sizeof(only) / sizeof(only[0])) == 0 &&
	       syscall(SYS_io_uring_register, fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) == 0;
}

/* Nothing of the kernel may look at our memory, or hold a socket's address, after this. */
static void cancel_all(struct uring_port *u)
{
	struct io_uring_sync_cancel_reg all = {.flags = IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY,
	                                       .fd = -1,
	                                       .timeout = {.tv_sec = -1, .tv_nsec = -1}};

	io_uring_register_sync_cancel(&u->ring, &all);
	io_uring_get_events(&u->ring);
	io_uring_unregister_files(&u->ring);
	io_uring_queue_exit(&u->ring);
}

static void uring_close(struct gm_port *port)
{
	struct uring_port *u = uring(port);

	if (u->ring_open)
		cancel_all(u);
	for (unsigned i = 0; i < u->udp_n; i++)
		gm_udp_close(&u->udp[i]);
	if (u->event >= 0)
		close(u->event);
	if (u->rx_ring)
		munmap(u->rx_ring, u->rx_n * sizeof(struct io_uring_buf));
	gm_free_end(&u->rx_free);
	gm_free_end(&u->tx_free);
	free(u->tx);
	free(u->in);
	free(u->rx);
	free(u);
}

static enum gm_err uring_open(struct gm_port **port, const struct gm_port_config *config)
{
	struct uring_port *u = calloc(1, sizeof(*u));

	if (!u)
		return GM_E_NO_MEMORY;
	u->ops = &gm_port_uring;
	u->quiet = config->sockets != NULL;
	u->rx_form = (struct msghdr){.msg_namelen = sizeof(union gm_udp_name), .msg_controllen = GM_UDP_CONTROL};
	u->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!allocate(u, config) || u->event < 0 || !open_ring(u) || !open_buffers(u) ||
	    gm_udp_open_all(u->udp, &u->udp_n, config, config->rcvbuf ? config->rcvbuf : RCVBUF, &u->stats.rcvbuf) !=
	        GM_E_OK ||
	    !register_files(u) || !restrict_and_enable(u)) {
		int why = errno;

		uring_close((struct gm_port *)u);
		errno = why;
		return GM_E_IO;
	}
	*port = (struct gm_port *)u;
	return GM_E_OK;
}

/* ------------------------------------------------------------------ sending */

static unsigned uring_tx_get(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct uring_port *u = uring(port);
	unsigned i = 0;

	if (u->tx_free.n < n)
		reap(u);
	for (uint32_t buf; i < n && gm_free_get(&u->tx_free, &buf); i++)
		d[i] = (struct gm_dgram){.data = u->tx[buf].data, .cap = GM_DGRAM_TX_CAP, .buf = buf};
	return i;
}

static void uring_tx_put(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		gm_free_put(&uring(port)->tx_free, d[i].buf);
}

static void queue_send(struct uring_port *u, const struct gm_dgram *d)
{
	unsigned at = gm_udp_pick(u->udp, u->udp_n, &d->local, &d->peer);
	int file = (int)at; /* as registered */
	const struct gm_udp *udp = &u->udp[at];
	struct tx_buf *b = &u->tx[d->buf];
	struct io_uring_sqe *sqe = get_sqe(u);

	socklen_t name_n = gm_udp_put_name(udp, &b->name, &d->peer);
	size_t control_n = gm_udp_put_source(udp, b->control, &d->local);

	if (control_n) {
		b->iov = (struct iovec){.iov_base = d->data, .iov_len = d->len};
		b->msg = (struct msghdr){.msg_name = &b->name, .msg_namelen = name_n, .msg_iov = &b->iov, .msg_iovlen = 1,
		                         .msg_control = b->control, .msg_controllen = control_n};
		io_uring_prep_sendmsg(sqe, file, &b->msg, 0);
	} else {
		io_uring_prep_send(sqe, file, d->data, d->len, 0);
		io_uring_prep_send_set_addr(sqe, &b->name.any, (unsigned short)name_n);
	}
	sqe->flags |= IOSQE_FIXED_FILE;
	name_sqe(sqe, SEND, d->buf);
}

/* Everything is accepted: a full socket keeps the send in the kernel; buffers not yet back are the back pressure. */
static unsigned uring_tx_burst(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct uring_port *u = uring(port);

	if (n == 0)
		return 0;
	for (unsigned i = 0; i < n; i++)
		queue_send(u, &d[i]);
	io_uring_submit(&u->ring);
	u->stats.tx += n;
	u->stats.tx_bursts++;
	return n;
}

/* ------------------------------------------------------------------ receiving */

/* false: was truncated or is no datagram; its buffer has gone back. */
static bool give_out(struct uring_port *u, const struct received *r, struct gm_dgram *d)
{
	uint8_t *at = u->rx[r->buf];
	struct io_uring_recvmsg_out *out = io_uring_recvmsg_validate(at, r->len, &u->rx_form);

	if (!out || out->flags & MSG_TRUNC) {
		u->stats.rx_truncated += out != NULL;
		gm_free_put(&u->rx_free, r->buf);
		return false;
	}
	unsigned n = io_uring_recvmsg_payload_length(out, r->len, &u->rx_form);
	uint8_t *name = io_uring_recvmsg_name(out);

	*d = (struct gm_dgram){
	    .data = io_uring_recvmsg_payload(out, &u->rx_form),
	    .len = (uint16_t)n,
	    .cap = (uint16_t)n,
	    .buf = r->buf,
	    .peer = gm_udp_get_name((const union gm_udp_name *)(void *)name),
	    .local = gm_udp_get_local(&u->udp[r->socket], name + sizeof(union gm_udp_name), out->controllen)};
	return true;
}

/* Whether there may be more. */
static bool look(struct uring_port *u)
{
	const uint32_t before = u->in_tail;

	u->cut = false;
	provide(u);
	if (!u->quiet)
		ask(u);
	reap(u);
	return u->cut || u->in_tail - before >= LOOK_AGAIN;
}

/* Less than n: there was no more, whatever had to be dropped. */
static unsigned uring_rx_burst(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct uring_port *u = uring(port);
	unsigned got = 0, looks = 0;
	bool more = true;

	u->quiet = u->halted;
	do {
		while (more && u->in_tail - u->in_head < n - got && looks++ < LOOKS)
			more = look(u);
		while (got < n && u->in_head != u->in_tail)
			got += give_out(u, &u->in[u->in_head++ & (u->rx_n - 1)], &d[got]);
	} while (got < n && more && looks < LOOKS);
	u->stats.rx += got;
	u->stats.rx_bursts += got > 0;
	return got;
}

static void uring_rx_put(struct gm_port *port, struct gm_dgram *d, unsigned n)
{
	struct uring_port *u = uring(port);

	for (unsigned i = 0; i < n; i++)
		gm_free_put(&u->rx_free, d[i].buf);
	provide(u);
}

/* ------------------------------------------------------------------ the rest */

static uint64_t uring_now(struct gm_port *port)
{
	struct timespec t;

	(void)port;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void sleep_until(struct uring_port *u, uint64_t end, uint64_t now)
{
	uint64_t ns = end - now;
	struct __kernel_timespec ts = {.tv_sec = (long long)(ns / NS_PER_S), .tv_nsec = (long long)(ns % NS_PER_S)};
	struct io_uring_cqe *cqe;

	io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, end == UINT64_MAX ? NULL : &ts, NULL);
}

/* Completed sends end the kernel's wait, but ours only where no send buffer was left. */
static void uring_wait(struct gm_port *port, uint64_t timeout_ns)
{
	struct uring_port *u = uring(port);
	uint64_t now = uring_now(port), end = timeout_ns > UINT64_MAX - now ? UINT64_MAX : now + timeout_ns;
	bool starved = u->tx_free.n == 0;

	reap(u);
	u->came = false; /* what came is still in the socket, or was given out */
	while (u->in_head == u->in_tail && !u->came && !u->woken && now < end && !(starved && u->tx_free.n)) {
		watch(u);
		sleep_until(u, end, now);
		reap(u);
		now = uring_now(port);
	}
	u->woken = false;
}

static void uring_wake(struct gm_port *port)
{
	struct uring_port *u = uring(port);
	uint64_t one = 1;

	if (!atomic_exchange(&u->wake_sent, true) && write(u->event, &one, sizeof(one)) < 0)
		atomic_store(&u->wake_sent, false);
}

static void uring_stats(const struct gm_port *port, struct gm_port_stats *stats)
{
	*stats = uring(port)->stats;
	stats->tx -= stats->tx_failed;
}

/* A poll that is out takes nothing. */
static void uring_halt(struct gm_port *port)
{
	struct uring_port *u = uring(port);

	u->quiet = u->halted = true;
}

static void uring_resume(struct gm_port *port)
{
	struct uring_port *u = uring(port);

	u->quiet = u->halted = false;
}

static int uring_socket(const struct gm_port *port, unsigned i)
{
	return uring(port)->udp[i].fd;
}

static struct gm_addr uring_bound(const struct gm_port *port, unsigned i)
{
	return uring(port)->udp[i].bound;
}

/* All that a port needs of the kernel, down to what it may do no more; without a socket. */
bool gm_port_uring_permitted(void)
{
	const struct gm_port_config none = {.listen_n = 0};
	struct gm_port *port;

	if (uring_open(&port, &none) != GM_E_OK)
		return false;
	uring_close(port);
	return true;
}

const struct gm_port_ops gm_port_uring = {
    .check = gm_udp_check,
    .name = "uring",
    .open = uring_open,
    .tx_get = uring_tx_get,
    .tx_burst = uring_tx_burst,
    .tx_put = uring_tx_put,
    .rx_burst = uring_rx_burst,
    .rx_put = uring_rx_put,
    .wait = uring_wait,
    .wake = uring_wake,
    .stats = uring_stats,
    .now_ns = uring_now,
    .bound = uring_bound,
    .halt = uring_halt,
    .resume = uring_resume,
    .socket = uring_socket,
    .close = uring_close,
};

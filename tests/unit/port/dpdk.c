/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker on DPDK costs while it has nothing to do. Sleeps are counted by the kernel, as voluntary switches of the thread: a
 * sleep never ends early, so their number has a bound on a busy machine, too. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#ifdef GM_HAVE_DPDK
#include <rte_errno.h>
#include <rte_flow.h>
#endif

#include "gm/dp.h"
#include "port/port.h"

#define EAL "--no-huge --no-shconf --no-telemetry --no-pci -m 64 --vdev "
#define MS 1000000u

static const struct gm_port_ops *ops;
static struct gm_port *port;

const char *__lsan_default_suppressions(void); /* what DPDK keeps until the process ends */
const char *__lsan_default_suppressions(void)
{
	return "leak:librte_\nleak:libdpdk";
}

static void open_port_at(const char *args, unsigned workers, const char *const *listen, unsigned n)
{
	struct gm_dpdk_config dpdk = {.args = args, .interface = ""};
	struct gm_port_config config = {.listen_n = n, .workers = workers, .arg = &dpdk};
	char why[GM_WHY];

	ops = gm_port_dpdk_load(why);
	if (!ops)
		cr_skip_test("%s", why);
	for (unsigned i = 0; i < n; i++)
		cr_assert(gm_addr_parse(&config.listen[i], listen[i]));
	cr_assert_eq(ops->open(&port, &config), GM_E_OK, "%s: %s", ops->why(), strerror(errno));
}

static void open_port(const char *args)
{
	open_port_at(args, 1, (const char *const[]){"127.0.0.1:0"}, 1);
}

struct idle {
	long sleeps;
	double ms, cpu_ms;
};

static double cpu_ms(const struct rusage *u)
{
	return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1e3 + (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) / 1e3;
}

static struct idle wait_for(uint64_t ms)
{
	struct rusage from, to;
	uint64_t start = ops->now_ns(port);

	getrusage(RUSAGE_THREAD, &from);
	ops->wait(port, ms * MS);
	getrusage(RUSAGE_THREAD, &to);
	return (struct idle){.sleeps = to.ru_nvcsw - from.ru_nvcsw,
	                     .ms = (double)(ops->now_ns(port) - start) / MS,
	                     .cpu_ms = cpu_ms(&to) - cpu_ms(&from)};
}

Test(dpdk, that_has_nothing_to_sleep_on_looks_once_a_millisecond_in_the_end)
{
	open_port(EAL "net_null0,no-rx=1");
	struct idle first = wait_for(12), later;
	for (long sleeps = 0; sleeps < 100;) /* it goes on looking, more and more rarely */
		sleeps += wait_for(100).sleeps;
	later = wait_for(1000);
	cr_expect_leq(first.sleeps, first.ms * 20 + 2, "no more than one in 50 us: %ld in %.1f ms", first.sleeps, first.ms);
	cr_expect_geq(later.ms, 1000);
	cr_expect_leq(later.sleeps, later.ms + 5, "%ld in %.1f ms", later.sleeps, later.ms);
	cr_expect_leq(later.cpu_ms, later.ms / 4, "%.1f of %.1f ms", later.cpu_ms, later.ms);
	ops->close(port);
}

static void *wake_it(void *arg)
{
	(void)arg;
	usleep(20000);
	ops->wake(port);
	return NULL;
}

Test(dpdk, that_sleeps_is_woken_by_another_thread)
{
	pthread_t other;

	open_port(EAL "net_null0,no-rx=1");
	wait_for(100);
	cr_assert_eq(pthread_create(&other, NULL, wake_it, NULL), 0);
	struct idle woken = wait_for(60000);
	pthread_join(other, NULL);
	cr_expect_lt(woken.ms, 30000);
	ops->close(port);
}

/* A tap's descriptor tells: what still wakes it is what the kernel says to a link that came up. */
Test(dpdk, that_has_a_descriptor_sleeps_until_something_comes)
{
	int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (tun < 0 || unshare(CLONE_NEWNET) != 0)
		cr_skip_test("a tap: %s", strerror(errno));
	close(tun);
	open_port(EAL "net_tap0,iface=gmidle");
	for (unsigned i = 0; i < 20; i++) { /* frames that came are taken, or it would not sleep */
		struct gm_dgram d[GM_PORT_BURST];
		wait_for(20);
		ops->rx_burst(port, d, GM_PORT_BURST);
	}
	struct idle idle = {0};
	while (idle.ms < 1000) {
		struct gm_dgram d[GM_PORT_BURST];
		struct idle more = wait_for(1000);
		idle.sleeps += more.sleeps;
		idle.ms += more.ms;
		idle.cpu_ms += more.cpu_ms;
		ops->rx_burst(port, d, GM_PORT_BURST);
	}
	cr_expect_leq(idle.sleeps, 100, "%ld in %.1f ms", idle.sleeps, idle.ms);
	cr_expect_leq(idle.cpu_ms, idle.ms / 10, "%.1f of %.1f ms", idle.cpu_ms, idle.ms);
	ops->close(port);
}

#ifdef GM_HAVE_DPDK
/* ---- rules of a card
 *
 * No driver of this machine takes any. These stand before DPDK's own functions, as a driver that does, or does until it is full. */

static struct {
	unsigned made, room, gone;
	uint16_t port[8];
	enum rte_flow_item_type family[8];
	bool whole_port[8], first_queues[8];
} card;

__attribute__((visibility("default"))) struct rte_flow *rte_flow_create(uint16_t id, const struct rte_flow_attr *attr,
                                                                        const struct rte_flow_item pattern[],
                                                                        const struct rte_flow_action actions[],
                                                                        struct rte_flow_error *error)
{
	const struct rte_flow_item_udp *udp = pattern[2].spec, *mask = pattern[2].mask;
	const struct rte_flow_action_rss *rss = actions[0].conf;
	unsigned i = card.made;

	cr_assert(id == 0 && attr->ingress && !attr->egress && !attr->transfer);
	cr_assert(pattern[0].type == RTE_FLOW_ITEM_TYPE_ETH && pattern[2].type == RTE_FLOW_ITEM_TYPE_UDP);
	cr_assert(pattern[3].type == RTE_FLOW_ITEM_TYPE_END && actions[0].type == RTE_FLOW_ACTION_TYPE_RSS);
	cr_assert(actions[1].type == RTE_FLOW_ACTION_TYPE_END);
	if (i == card.room) {
		error->message = "no room for a rule";
		return NULL;
	}
	card.family[i] = pattern[1].type;
	card.port[i] = rte_be_to_cpu_16(udp->hdr.dst_port);
	card.whole_port[i] = mask->hdr.dst_port == 0xffff && mask->hdr.src_port == 0;
	card.first_queues[i] = rss->queue_num == 2 && rss->queue[0] == 0 && rss->queue[1] == 1;
	return (struct rte_flow *)&card.port[card.made++];
}

__attribute__((visibility("default"))) int rte_flow_destroy(uint16_t id, struct rte_flow *flow, struct rte_flow_error *error)
{
	(void)id, (void)flow, (void)error;
	card.gone++;
	return 0;
}

#define TWO_QUEUES EAL "net_null0,no-rx=1"
static const char *const everywhere[] = {"[::]:25683", "127.0.0.1:25683", "127.0.0.1:25684"};

Test(dpdk, tells_a_card_that_takes_rules_to_spread_our_ports_over_our_queues)
{
	static const struct { uint16_t port; enum rte_flow_item_type family; } expected[] = {
	    {25683, RTE_FLOW_ITEM_TYPE_IPV6}, {25683, RTE_FLOW_ITEM_TYPE_IPV4}, {25684, RTE_FLOW_ITEM_TYPE_IPV4}};

	card.room = 8;
	open_port_at(TWO_QUEUES, 2, everywhere, 3);
	cr_assert_eq(card.made, 3, "one for each port and family, whoever listens");
	for (unsigned i = 0; i < 3; i++)
		cr_expect(card.port[i] == expected[i].port && card.family[i] == expected[i].family && card.whole_port[i] &&
		          card.first_queues[i], "rule %u", i);
	cr_expect_str_eq(ops->how(), "way=rte_flow queues=2 workers=2");
	cr_expect_eq(card.gone, 0);
	ops->close(port);
}

Test(dpdk, leaves_a_card_that_does_not_take_all_rules_to_receive_side_scaling)
{
	card.room = 2;
	open_port_at(TWO_QUEUES, 2, everywhere, 3);
	cr_expect_eq(card.made, 2);
	cr_expect_eq(card.gone, 2, "all or none");
	cr_expect_str_eq(ops->how(), "way=rss queues=2 workers=2 rte_flow=\"no room for a rule\"");
	ops->close(port);
}

Test(dpdk, has_no_rules_for_one_worker)
{
	card.room = 8;
	open_port_at(TWO_QUEUES, 1, everywhere, 3);
	cr_expect_eq(card.made, 0);
	cr_expect_str_eq(ops->how(), "");
	ops->close(port);
}
#endif

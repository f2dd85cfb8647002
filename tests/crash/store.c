/* SPDX-License-Identifier: Apache-2.0 */
/* kill -9 at random moments: what was acknowledged is there, nothing is damaged, no turn is there in part. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gm/crypto.h"
#include "store/store.h"

#define ROUNDS 50u
#define PER_TURN 20u
#define SLOTS 500u

static char base[64], dir[80], key_file[80], why[GM_WHY];

static void put_u32(uint8_t out[4], uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		out[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* Turn t writes slots t*PER_TURN.. (round the table), each holding t; and one record that says t. */
static void gather(struct gm_changes *c, uint32_t turn)
{
	uint8_t key[4], value[120] = {0};

	put_u32(value, turn);
	for (unsigned i = 0; i < PER_TURN; i++) {
		put_u32(key, (turn * PER_TURN + i) % SLOTS);
		gm_changes_put(c, 0, GM_TABLE_CTX, key, 4, value, sizeof(value));
	}
	gm_changes_put(c, 0, GM_TABLE_LEASE, "last", 4, value, 4);
}

_Noreturn static void serve(int out)
{
	struct gm_changes changes = {0};
	struct gm_store *store;

	if (gm_store_open(&store, dir, key_file, why) != GM_E_OK)
		_exit(1);
	for (uint32_t turn = (uint32_t)gm_store_turn(store) + 1;; turn++) {
		gm_changes_reset(&changes);
		gather(&changes, turn);
		if (gm_store_begin(store, &changes, turn) != GM_E_OK || gm_store_finish(store) != GM_COMMIT_DONE)
			_exit(2);
		if (write(out, &turn, sizeof(turn)) != sizeof(turn))
			_exit(3);
	}
}

struct found {
	uint32_t last, slots[SLOTS];
};

static uint32_t get_u32(struct gm_bytes b)
{
	struct gm_in in = gm_in_bytes(b);

	return (uint32_t)gm_in_be(&in, 4);
}

static enum gm_err collect(void *arg, enum gm_table table, struct gm_bytes key, struct gm_bytes value)
{
	struct found *f = arg;

	if (table == GM_TABLE_LEASE)
		f->last = get_u32(value);
	else
		f->slots[get_u32(key)] = get_u32(value);
	return GM_E_OK;
}

/* The youngest turn that wrote slot i, up to last; 0: none. */
static uint32_t expected(uint32_t i, uint32_t last)
{
	for (uint32_t turn = last; turn > 0 && turn + SLOTS / PER_TURN > last; turn--)
		if ((i + SLOTS - turn * PER_TURN % SLOTS) % SLOTS < PER_TURN)
			return turn;
	return 0;
}

static uint32_t check(uint32_t acknowledged)
{
	struct found f = {0};
	struct gm_store *store;

	cr_assert_eq(gm_store_open(&store, dir, key_file, why), GM_E_OK, "%s", why);
	cr_assert_eq(gm_store_scan(store, GM_TABLE_LEASE, collect, &f), GM_E_OK);
	cr_assert_eq(gm_store_scan(store, GM_TABLE_CTX, collect, &f), GM_E_OK);
	cr_assert_eq(gm_store_turn(store), f.last);
	cr_assert(f.last == acknowledged || f.last == acknowledged + 1, "%u acknowledged, %u there", acknowledged,
	          f.last);
	for (uint32_t i = 0; i < SLOTS; i++)
		cr_assert_eq(f.slots[i], expected(i, f.last), "slot %u", i);
	gm_store_close(store);
	return f.last;
}

static uint32_t round_of(uint32_t acknowledged, unsigned us)
{
	int fd[2], status;

	cr_assert_eq(pipe(fd), 0);
	pid_t child = fork();
	if (child == 0)
		serve(fd[1]);
	close(fd[1]);
	if (read(fd[0], &acknowledged, sizeof(acknowledged)) < 0) /* it has begun, however slow the machine */
		cr_assert_fail("no acknowledgement");
	usleep(us);
	kill(child, SIGKILL);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFSIGNALED(status), "exit %d", status);
	for (uint32_t turn; read(fd[0], &turn, sizeof(turn)) == sizeof(turn);)
		acknowledged = turn;
	close(fd[0]);
	return check(acknowledged);
}

Test(crash, keeps_every_acknowledged_turn_through_fifty_kills, .timeout = 120)
{
	static const char *const files[] = {"store/data.mdb", "store/lock.mdb", "store/lock", "store", "key", ""};
	uint32_t turn = 0, random;
	char path[160];

	cr_assert(gm_crypto_init());
	strcpy(base, "/tmp/gm-crash-XXXXXX");
	cr_assert_not_null(mkdtemp(base));
	snprintf(dir, sizeof(dir), "%s/store", base);
	snprintf(key_file, sizeof(key_file), "%s/key", base);
	cr_assert_eq(gm_store_init(dir, key_file, why), GM_E_OK);
	for (unsigned i = 0; i < ROUNDS; i++) {
		gm_random(&random, sizeof(random));
		turn = round_of(turn, 500 + random % 30000);
	}
	cr_expect_geq(turn, ROUNDS);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		snprintf(path, sizeof(path), "%s/%s", base, files[i]);
		remove(path);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* gmctl top: what `status` counts, as rates since the last look. */
#include "ctl/gmctl/gmctl.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define EVERY_MS 1000
#define GROUPS_SHOWN 12u

struct look { /* at everything, once */
	struct rows status, rekeys;
	double at; /* seconds */
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void see(struct session *s, struct look *look)
{
	gm_cli_simple(s, "status", NULL, NULL, gm_cli_keep, &look->status);
	gm_cli_simple(s, "rekey status", NULL, NULL, gm_cli_keep, &look->rekeys);
	look->at = now();
}

static void forget(struct look *look)
{
	gm_cli_free(&look->status);
	gm_cli_free(&look->rekeys);
}

static const struct row *part(const struct look *look, const char *what)
{
	return gm_cli_find(&look->status, "what", what);
}

static const struct row *worker(const struct look *look, unsigned w)
{
	for (size_t i = 0; i < look->status.n; i++)
		if (strcmp(gm_cli_cell(&look->status.rows[i], "what"), "worker") == 0 && gm_cli_number(&look->status.rows[i], "worker") == w)
			return &look->status.rows[i];
	return NULL;
}

/* ---- rates */

struct frame {
	const struct look *before, *after; /* before has no rows at the first look: then since gmd started */
	double seconds;
};

static double rate(const struct frame *f, const struct row *before, const struct row *after, const char *key)
{
	unsigned long long was = gm_cli_number(before, key), is = gm_cli_number(after, key);

	return is > was ? (double)(is - was) / f->seconds : 0; /* less: gmd has started anew */
}

static double part_rate(const struct frame *f, const char *what, const char *key)
{
	return rate(f, part(f->before, what), part(f->after, what), key);
}

static double drop_rate(const struct frame *f, unsigned w)
{
	static const char *const keys[] = {"port_rx_lost", "hop_drop", "up_full", "port_tx_failed"};
	double sum = 0;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		sum += rate(f, worker(f->before, w), worker(f->after, w), keys[i]);
	return sum;
}

static double all_drops(const struct frame *f)
{
	double sum = 0;

	for (unsigned w = 0; worker(f->after, w); w++)
		sum += drop_rate(f, w);
	return sum;
}

/* Of a processor, in percent. */
static double load(const struct frame *f, const struct row *before, const struct row *after)
{
	return rate(f, before, after, "cpu_us") / 1e4;
}

/* ---- a frame as text */

static const char *ms_text(const struct row *row, const char *key, char buf[static 24])
{
	snprintf(buf, 24, "%.1f ms", (double)gm_cli_number(row, key) / 1000);
	return buf;
}

static void put_head(FILE *to, const struct frame *f)
{
	const struct row *daemon = part(f->after, "daemon"), *core = part(f->after, "core"), *turn = part(f->after, "turn"),
	                 *rekey = part(f->after, "rekey");
	unsigned long long up = gm_cli_number(daemon, "uptime_s");
	char a[24], b[24], c[24], d[24];

	fprintf(to, "gmd %s   up %llu:%02llu:%02llu   %s groups   %s members   %s contexts   %s\n", gm_cli_cell(daemon, "version"),
	        up / 3600, up / 60 % 60, up % 60, gm_cli_cell(core, "groups"), gm_cli_cell(core, "members"), gm_cli_cell(core, "contexts"),
	        f->before->status.n ? "" : "(rates since the start)");
	fprintf(to, "joins/s %.1f   leaves/s %.1f   evictions/s %.1f   refused/s %.1f   drops/s %.1f\n", part_rate(f, "core", "joins_ok"),
	        part_rate(f, "core", "leaves"), part_rate(f, "core", "evictions"), part_rate(f, "core", "joins_refused"), all_drops(f));
	fprintf(to, "rekeys %s (%s running, %s paused, %s waiting)   confirmed/s %.1f   sent again/s %.1f   late %s\n", gm_cli_cell(core, "rekeys"),
	        gm_cli_cell(core, "rekeys_running"), gm_cli_cell(core, "rekeys_paused"), gm_cli_cell(core, "rekeys_pending"), part_rate(f, "core", "confirmed"),
	        part_rate(f, "rekey", "retransmitted"), gm_cli_cell(core, "late"));
	fprintf(to, "commit p50 %s p99 %s   confirmation p50 %s p99 %s   commits/s %.1f   core %.0f %%\n\n",
	        ms_text(turn, "commit_us_p50", a), ms_text(turn, "commit_us_p99", b), ms_text(rekey, "confirm_us_p50", c),
	        ms_text(rekey, "confirm_us_p99", d), part_rate(f, "turn", "commits"), load(f, part(f->before, "turn"), turn));
}

static void put_workers(FILE *to, const struct frame *f)
{
	static const char *const keys[] = {"rx", "tx", "joins", "rekey_sent", "rekey_confirmed"};

	fprintf(to, "%6s %6s %10s %10s %10s %10s %11s %10s %9s\n", "WORKER", "LOAD", "RX/S", "TX/S", "JOINS/S", "TOLD/S", "CONFIRMED/S",
	        "IN-FLIGHT", "DROPS/S");
	for (unsigned w = 0; worker(f->after, w); w++) {
		const struct row *was = worker(f->before, w), *is = worker(f->after, w);
		fprintf(to, "%6u %4.0f %% ", w, load(f, was, is));
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			fprintf(to, i == 4 ? "%11.1f " : "%10.1f ", rate(f, was, is, keys[i]));
		fprintf(to, "%10s %9.1f\n", gm_cli_cell(is, "inflight"), drop_rate(f, w));
	}
}

static void put_rekeys(FILE *to, const struct frame *f)
{
	const struct rows *rekeys = &f->after->rekeys;

	fprintf(to, rekeys->n ? "\n%-24s %-13s %8s %9s %10s %6s %8s\n" : "\nno rekey waits or runs, and nobody is late\n", "GROUP", "STATE",
	        "VERSION", "MEMBERS", "CONFIRMED", "LATE", "WAITING");
	for (size_t i = 0; i < rekeys->n && i < GROUPS_SHOWN; i++) {
		const struct row *g = &rekeys->rows[i];
		char group[64] = "";
		FILE *name = fmemopen(group, sizeof(group), "w");
		if (name) {
			gm_cli_cut(gm_cli_cell(g, "group"), 24, name);
			fclose(name);
		}
		fprintf(to, "%-24s %-13s %8s %9s %10s %6s %8s\n", group, gm_cli_cell(g, "state"), gm_cli_cell(g, "version"),
		        gm_cli_cell(g, "members"), gm_cli_cell(g, "confirmed"), gm_cli_cell(g, "late"), gm_cli_cell(g, "waiting"));
	}
	if (rekeys->n > GROUPS_SHOWN)
		fprintf(to, "and %zu more: gmctl rekey status\n", rekeys->n - GROUPS_SHOWN);
}

static char *text_of(const struct frame *f)
{
	char *text;
	size_t n;
	FILE *to = gm_cli_need(open_memstream(&text, &n));

	put_head(to, f);
	put_workers(to, f);
	put_rekeys(to, f);
	fclose(to);
	return text;
}

static void print_json(const struct frame *f)
{
	const struct row *core = part(f->after, "core"), *turn = part(f->after, "turn"), *rekey = part(f->after, "rekey");

	printf("{\"groups\":%llu,\"members\":%llu,\"joins_per_s\":%.1f,\"drops_per_s\":%.1f,\"rekeys\":%llu,\"rekeys_running\":%llu,\"rekeys_paused\":%llu,"
	       "\"confirmed_per_s\":%.1f,\"late\":%llu,\"commit_us_p50\":%llu,\"commit_us_p99\":%llu,\"confirm_us_p50\":%llu,"
	       "\"confirm_us_p99\":%llu,\"load\":[",
	       gm_cli_number(core, "groups"), gm_cli_number(core, "members"), part_rate(f, "core", "joins_ok"), all_drops(f),
	       gm_cli_number(core, "rekeys"), gm_cli_number(core, "rekeys_running"), gm_cli_number(core, "rekeys_paused"), part_rate(f, "core", "confirmed"),
	       gm_cli_number(core, "late"), gm_cli_number(turn, "commit_us_p50"), gm_cli_number(turn, "commit_us_p99"),
	       gm_cli_number(rekey, "confirm_us_p50"), gm_cli_number(rekey, "confirm_us_p99"));
	for (unsigned w = 0; worker(f->after, w); w++)
		printf("%s%.1f", w ? "," : "", load(f, worker(f->before, w), worker(f->after, w)));
	puts("]}");
}

/* ---- on the screen */

static void paint(const struct frame *f)
{
	char *text = text_of(f);
	int width = gm_cli_width();

	fputs("\033[H", stdout);
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		gm_cli_cut(line, width, stdout);
		fputs("\033[K\n", stdout);
	}
	fputs("\nq leaves\033[K\033[J", stdout);
	fflush(stdout);
	free(text);
}

/* false: the operator leaves. */
static bool wait_for_key(void)
{
	double end = now() + EVERY_MS / 1000.0;
	char key;

	for (double left; (left = end - now()) > 0;) {
		struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
		int n = poll(&in, 1, (int)(left * 1000) + 1);
		if (n < 0 && errno == EINTR && gm_cli_screen_again())
			return true;
		if (n > 0 && (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q'))
			return false;
	}
	return true;
}

static struct frame frame_of(const struct look *before, const struct look *after)
{
	double up = (double)gm_cli_number(part(after, "daemon"), "uptime_s");

	return (struct frame){
		.before = before, .after = after, .seconds = before->status.n ? after->at - before->at : up > 0 ? up : 1};
}

static void print_once(const struct session *s, const struct frame *f)
{
	if (s->json) {
		print_json(f);
		return;
	}
	char *text = text_of(f);
	fputs(text, stdout);
	free(text);
}

enum exit_code gm_cli_do_top(struct session *s, struct line *line)
{
	struct look before = {0}, after = {0};
	bool once = s->json || gm_ctl_arg(&line->request, "once") || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO);

	see(s, &after);
	struct frame f = frame_of(&before, &after);
	if (once || !gm_cli_screen_begin()) {
		print_once(s, &f);
		forget(&after);
		return EXIT_DONE;
	}
	for (paint(&f); wait_for_key(); paint(&f)) {
		forget(&before);
		before = after;
		after = (struct look){0};
		see(s, &after);
		f = frame_of(&before, &after);
	}
	gm_cli_screen_end();
	forget(&before);
	forget(&after);
	return EXIT_DONE;
}

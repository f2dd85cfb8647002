/* SPDX-License-Identifier: Apache-2.0 */
/* gmd's configuration file: YAML, one mapping, every key optional but audience. gmd.conf(5) explains the keys. */
#ifndef GM_CTL_CONFIG_H
#define GM_CTL_CONFIG_H

#include "ctl/log.h"
#include "ctl/settings.h"
#include "gm/dp.h"

#define GM_PACE_MAX 100000000u

#define GM_CONFIG_PATH_MAX 107u /* longest path of a Unix socket */
#define GM_CONFIG_WHY 512u

enum gm_config_port { GM_CONFIG_PORT_AUTO, GM_CONFIG_PORT_URING, GM_CONFIG_PORT_MMSG, GM_CONFIG_PORT_DPDK };

struct gm_config {
	char state_dir[GM_CONFIG_PATH_MAX + 1], key_file[GM_CONFIG_PATH_MAX + 1];
	char witness_file[GM_CONFIG_PATH_MAX + 1]; /* empty: witness in state_dir */
	char control_socket[GM_CONFIG_PATH_MAX + 1];
	char control_group[33], control_operators[33], control_viewers[33]; /* names of Unix groups; empty: none */
	char audience[128];
	char uri[128]; /* scheme and authority under which clients reach it; empty: from the first listen address */
	struct gm_addr listen[8];
	unsigned listen_n;
	uint32_t workers, contexts_max, members_max, groups_max;
	uint32_t changes_per_minute; /* of one client; 0: no limit */
	enum gm_config_port port;
	char dpdk_args[1024];    /* of its environment, as text; empty unless port is dpdk */
	char dpdk_interface[16]; /* empty: DPDK knows */
	uint32_t pace; /* rekeying messages a second, at most GM_PACE_MAX; 0: no limit */
	unsigned prefixes_n;
	struct gm_pace_prefix prefixes[GM_PREFIXES_MAX]; /* those with a pace of their own below that */
	uint32_t rekey_window_ms, rekey_deadline_ms;
	unsigned templates_n;
	struct gm_template templates[GM_TEMPLATES_MAX]; /* for groups to be made */
	uint32_t stranger_rate;
	uint32_t ack_timeout_ms, retransmit_max;
	uint32_t audit_keep; /* days; 0: for ever */
	enum gm_log_level log_level;
	bool rekey_at_start;
	bool confine; /* to the system calls that serving needs */
	bool test_no_lease; /* gmd_faults only */
};

/* Read and check. MISSING: the file cannot be read; USAGE: something in it is wrong. `why` gets one line for the
 * operator: "gmd.conf:3:10: workers: has to be 1 to 16, not 99". */
GM_NODISCARD enum gm_err gm_config_load(struct gm_config *config, const char *file, char why[static GM_CONFIG_WHY]);
/* The same from memory; file is only named in messages. */
GM_NODISCARD enum gm_err gm_config_parse(struct gm_config *config, const char *file, const char *text, size_t n,
                                         char why[static GM_CONFIG_WHY]);

#endif

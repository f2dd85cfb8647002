/* SPDX-License-Identifier: Apache-2.0 */
#include "core/audit.h"
#include "ctl/verbs/call.h"

#include "ctl/backup.h"

void gm_verb_backup(struct gm_ctl_call *call)
{
	if (call->request->fd < 0) {
		gm_ctl_error(call->reply, GM_E_USAGE, "backup: a socket for the copy has to come along");
		return;
	}
	gm_call_log(call->request, "ctl.backup", "backup");
	enum gm_err err = gm_ctl_backup_start(call->env->store, call->request->fd);
	if (err == GM_E_BUSY) {
		gm_ctl_error(call->reply, err, "another backup is being made");
		return;
	}
	if (err == GM_E_OK) {
		struct gm_audit a;
		gm_audit_begin(&a, &call->txn, "backup");
		gm_audit_word(&a, "file", gm_call_text(call, "file"));
		gm_audit_end(&a, &call->txn);
	}
	gm_call_finish(call, err, "backup", gm_call_text(call, "file"));
}

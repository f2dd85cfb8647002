/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GM_GROUPS_H
#define GM_GROUPS_H

#define GM_GROUP 8u /* jobs that cost a variant with lanes as much as one */

/* Of n jobs those that lanes do: all but a last group of fewer than least, which libsodium has done sooner. */
static inline unsigned gm_in_lanes(unsigned n, unsigned least)
{
	return n % GM_GROUP < least ? n - n % GM_GROUP : n;
}

#endif

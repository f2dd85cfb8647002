/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#include "ctl/sheet.h"

static char why[GM_SHEET_WHY], said[4096];
static size_t at;

static bool keep(void *arg, enum gm_sheet sheet, const struct gm_sheet_row *row)
{
	(void)arg;
	if (at > sizeof(said) / 2)
		return true;
	at += (size_t)snprintf(said + at, sizeof(said) - at, "%s %u:", gm_sheets[sheet].name, row->line);
	for (unsigned i = 0; i < gm_sheets[sheet].columns_n; i++)
		if (row->cell[i])
			at += (size_t)snprintf(said + at, sizeof(said) - at, " %s=%s", gm_sheets[sheet].columns[i], row->cell[i]);
	at += (size_t)snprintf(said + at, sizeof(said) - at, "\n");
	return true;
}

static const char *read_it(const char *text)
{
	at = 0;
	said[0] = '\0';
	bool good = gm_sheet_read(text, strlen(text), keep, NULL, why);
	cr_expect_eq(good, why[0] == '\0', "%s: %s", text, why);
	return said;
}

Test(sheet, knows_the_kind_of_a_file_by_its_columns)
{
	cr_expect_str_eq(read_it("group,template\nf1,floor\nf2,\n"), "groups 2: group=f1 template=floor\ngroups 3: group=f2\n");
	cr_expect_str_eq(read_it("name;device\nLamp 1;as:1:aa\n"), "devices 2: device=as:1:aa name=Lamp 1\n");
	cr_expect_str_eq(read_it("name,group,roles\nlamp-1,f1,requester\n"), "roles 2: name=lamp-1 group=f1 roles=requester\n");
	cr_expect_str_eq(read_it(""), "");
}

Test(sheet, reads_the_same_from_json)
{
	static const char rows[] = "groups 1: group=f1 max_members=90 active=no\ngroups 3: group=f2\n";

	cr_expect_str_eq(read_it("{\"group\":\"f1\",\"max_members\":90,\"active\":false}\n\n{\"group\":\"f2\",\"hkdf\":null}\n"), rows);
	cr_expect_str_eq(read_it("[{\"group\":\"f1\",\"max_members\":\"90\",\"active\":\"no\"},\n\n {\"group\":\"f2\"}]\n"), rows);
	cr_expect_str_eq(read_it("\xef\xbb\xbf[]"), "");
}

Test(sheet, says_where_and_what_is_wrong)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"name\nx\n", "1: no column 'group' or 'device': the first line names the columns, as group,template or device,name,groups"},
		{"device,nmae\nx,y\n", "1: no column 'nmae' in files of devices: they have device, name, groups"},
		{"device,device\n", "1: column 'device' twice"},
		{"device,name\nas:1:aa\n", "2: 1 cells where the first line has 2"},
		{"device,name\n,x\n", "2: device is missing"},
		{"device\n\"x\n", "2:1: this quote is never closed"},
		{"{\"device\":\"x\"}\n{\"device\":\n", "3: not JSON: "},
		{"{\"device\":[1]}", "1: device: has to be text, a whole number, true or false"},
		{"{\"device\":\"x\",\"device\":\"y\"}", "1: not JSON: duplicate object key"},
		{"{\"device\":\"x\",\"colour\":\"red\"}", "1: no column 'colour' in files of devices: they have device, name, groups"},
		{"[{\"device\":\"x\"}\n{\"device\":\"y\"}]", "2: not JSON: , or ] is needed behind an object of an array"},
		{"[{\"device\":\"x\"},]", "1: not JSON: an object is needed behind a comma"},
		{"[{\"device\":\"x\"}", "1: not JSON: , or ] is needed behind an object of an array"},
		{"[{\"device\":\"x\"}] {}", "1: not JSON: something stands behind the array"},
		{"[", "1: not JSON: "},
		{"[1]", "1: not JSON: "},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		read_it(rows[i].text);
		cr_expect_eq(strncmp(why, rows[i].why, strlen(rows[i].why)), 0, "%s: %s", rows[i].text, why);
	}
}

Test(sheet, has_a_bound_for_rows)
{
	char *text = malloc(8 + 2 * (GM_SHEET_ROWS_MAX + 1)), *p = text + sprintf(text, "group\n");

	for (unsigned i = 0; i <= GM_SHEET_ROWS_MAX; i++)
		p += sprintf(p, "g\n");
	read_it(text);
	cr_expect_str_eq(why, "20002: more than 20000 rows: import them in several files");
	free(text);
}

static bool through_the_socket(void *arg, enum gm_sheet sheet, const struct gm_sheet_row *row)
{
	uint8_t bytes[1024];
	struct gm_out o = gm_out(bytes, sizeof(bytes));
	struct gm_sheet_row back;

	gm_sheet_row_encode(&o, sheet, row);
	struct gm_in in = gm_in_bytes(gm_out_result(&o));
	cr_assert_eq(gm_sheet_row_decode(&in, sheet, &back), GM_E_OK);
	cr_expect_eq(gm_in_left(&in), 0);
	return keep(arg, sheet, &back);
}

Test(sheet, comes_through_the_socket_as_it_was)
{
	at = 0;
	cr_expect(gm_sheet_read("device,groups\nas:1:aa,f1/requester f2\nas:1:bb,\n", 47, through_the_socket, NULL, why));
	cr_expect_str_eq(said, "devices 2: device=as:1:aa groups=f1/requester f2\ndevices 3: device=as:1:bb\n");
}

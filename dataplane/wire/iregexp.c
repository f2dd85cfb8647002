/* SPDX-License-Identifier: Apache-2.0 */
/* The pattern becomes a program of few instructions, whose states are walked side by side (K. Thompson, 1968). */
#include "wire/iregexp.h"

#define PATTERN_MAX 256u /* bytes; the work of a match grows with its square */
#define CODE_MAX 256u
#define STEPS_MAX 4096u /* of the parser: repeated empty groups emit nothing */
#define DEPTH_MAX 16u

enum op { OP_CHAR, OP_ANY, OP_CLASS, OP_SPLIT, OP_JUMP, OP_END };
struct instruction {
	uint8_t op;
	uint16_t a, b;     /* where SPLIT and JUMP go on */
	uint32_t c;        /* CHAR */
	struct gm_bytes set; /* CLASS: what stands between the brackets */
};

struct parser {
	struct gm_in in;
	struct instruction code[CODE_MAX];
	unsigned n, steps, depth;
	bool bad;
};

/* ---- characters */

static uint32_t take_char(struct gm_in *in) /* of valid UTF-8; 0 at the end */
{
	uint8_t first = gm_in_u8(in);
	unsigned more = first < 0xc0 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
	uint32_t c = more ? first & (0x3fu >> more) : first;

	while (more--)
		c = c << 6 | (gm_in_u8(in) & 0x3fu);
	return c;
}

static int look(const struct gm_in *in)
{
	return gm_in_left(in) ? *in->p : -1;
}

static bool take(struct gm_in *in, char c)
{
	if (look(in) != c)
		return false;
	in->p++;
	return true;
}

/* behind a backslash; false: a category, or no escape of RFC 9485 */
static bool take_escape(struct gm_in *in, uint32_t *c)
{
	static const char controls[] = "nrt", values[] = "\n\r\t", plain[] = "()*+-.?[\\]^{|}";
	int next = look(in);
	const char *at;

	if (next <= 0)
		return false;
	in->p++;
	if ((at = strchr(controls, next)))
		*c = (uint32_t)values[at - controls];
	else if (strchr(plain, next))
		*c = (uint32_t)next;
	else
		return false;
	return true;
}

/* ---- classes: walked once to check them, and at each match */

static bool take_member(struct gm_in *in, uint32_t *c)
{
	if (take(in, '\\'))
		return take_escape(in, c);
	if (look(in) < 0 || look(in) == '[' || look(in) == ']')
		return false;
	*c = take_char(in);
	return true;
}

/* One character or range of a class; false: it is not well-formed. A "-" that ends no range stands for itself. */
static bool take_range(struct gm_in *in, uint32_t *from, uint32_t *to)
{
	if (!take_member(in, from))
		return false;
	*to = *from;
	if (look(in) != '-' || gm_in_left(in) == 1 || in->p[1] == ']')
		return true;
	in->p++;
	return take_member(in, to) && *from <= *to;
}

static bool class_has(struct gm_bytes set, uint32_t c)
{
	struct gm_in in = gm_in_bytes(set);
	bool outside = take(&in, '^'), found = false;
	uint32_t from, to;

	while (gm_in_left(&in) && take_range(&in, &from, &to))
		found |= c >= from && c <= to;
	return found != outside;
}

static struct gm_bytes take_class(struct parser *p)
{
	const uint8_t *start = p->in.p;
	uint32_t from, to;
	unsigned n = 0;

	take(&p->in, '^');
	for (; look(&p->in) >= 0 && look(&p->in) != ']'; n++)
		if (!take_range(&p->in, &from, &to))
			break;
	struct gm_bytes set = {start, (size_t)(p->in.p - start)};
	if (n == 0 || !take(&p->in, ']'))
		p->bad = true;
	return set;
}

/* ---- the program */

static unsigned emit(struct parser *p, struct instruction i)
{
	if (p->n == CODE_MAX || ++p->steps > STEPS_MAX) {
		p->bad = true;
		return 0;
	}
	p->code[p->n] = i;
	return p->n++;
}

/* NOLINTBEGIN(misc-no-recursion): DEPTH_MAX ends it */
static void branch(struct parser *p);

static void atom(struct parser *p)
{
	struct instruction i = {.op = OP_CHAR};

	if (take(&p->in, '(')) {
		if (++p->depth > DEPTH_MAX) {
			p->bad = true;
			return;
		}
		branch(p);
		p->depth--;
		p->bad |= !take(&p->in, ')');
		return;
	}
	if (take(&p->in, '[')) {
		i.op = OP_CLASS;
		i.set = take_class(p);
	} else if (take(&p->in, '.')) {
		i.op = OP_ANY;
	} else if (take(&p->in, '\\')) {
		p->bad |= !take_escape(&p->in, &i.c);
	} else if (strchr("*+?{}]", look(&p->in))) {
		p->bad = true;
	} else {
		i.c = take_char(&p->in);
	}
	emit(p, i);
}

#define MANY UINT16_MAX
struct repeat {
	unsigned least, most;
};

static unsigned number(struct parser *p)
{
	unsigned v = 0, digits = 0;

	for (; look(&p->in) >= '0' && look(&p->in) <= '9'; digits++)
		if ((v = v * 10 + gm_in_u8(&p->in) - '0') > CODE_MAX)
			p->bad = true, v = CODE_MAX;
	p->bad |= !digits;
	return v;
}

static struct repeat quantifier(struct parser *p)
{
	struct repeat r = {1, 1};

	if (take(&p->in, '*'))
		return (struct repeat){0, MANY};
	if (take(&p->in, '+'))
		return (struct repeat){1, MANY};
	if (take(&p->in, '?'))
		return (struct repeat){0, 1};
	if (!take(&p->in, '{'))
		return r;
	r.least = r.most = number(p);
	if (take(&p->in, ','))
		r.most = look(&p->in) == '}' ? MANY : number(p);
	p->bad |= !take(&p->in, '}') || r.least > r.most;
	return r;
}

static void again(struct parser *p, struct gm_in from)
{
	struct gm_in after = p->in;

	p->in = from;
	atom(p);
	p->in = after;
	if (++p->steps > STEPS_MAX)
		p->bad = true;
}

static void piece(struct parser *p)
{
	struct gm_in start = p->in;
	unsigned at = p->n;

	atom(p);
	if (p->bad)
		return;
	struct repeat r = quantifier(p);
	p->n = at;
	for (unsigned i = 0; i < r.least && !p->bad; i++)
		again(p, start);
	if (r.most == MANY) {
		unsigned split = emit(p, (struct instruction){.op = OP_SPLIT});
		again(p, start);
		emit(p, (struct instruction){.op = OP_JUMP, .a = (uint16_t)split});
		p->code[split].a = (uint16_t)(split + 1);
		p->code[split].b = (uint16_t)p->n;
		return;
	}
	for (unsigned i = r.least; i < r.most && !p->bad; i++) {
		unsigned split = emit(p, (struct instruction){.op = OP_SPLIT});
		again(p, start);
		p->code[split].a = (uint16_t)(split + 1);
		p->code[split].b = (uint16_t)p->n;
	}
}

static void sequence(struct parser *p)
{
	while (!p->bad && look(&p->in) >= 0 && look(&p->in) != '|' && look(&p->in) != ')')
		piece(p);
}

/* a|b|c: SPLIT to a and on, a, JUMP to the end, ... The jumps are chained by their targets until the end is known. */
static void branch(struct parser *p)
{
	unsigned jumps[CODE_MAX / 8], n = 0;

	for (;;) {
		unsigned split = emit(p, (struct instruction){.op = OP_SPLIT});
		sequence(p);
		p->code[split].a = (uint16_t)(split + 1);
		p->code[split].b = (uint16_t)(split + 1);
		if (p->bad || !take(&p->in, '|'))
			break;
		if (n == sizeof jumps / sizeof *jumps) {
			p->bad = true;
			return;
		}
		jumps[n++] = emit(p, (struct instruction){.op = OP_JUMP});
		p->code[split].b = (uint16_t)p->n;
	}
	for (unsigned i = 0; i < n; i++)
		p->code[jumps[i]].a = (uint16_t)p->n;
}
/* NOLINTEND(misc-no-recursion) */

/* ---- walking */

struct states {
	uint16_t at[CODE_MAX];
	unsigned n;
	bool in[CODE_MAX];
};

static void reach(const struct parser *p, struct states *s, uint16_t first)
{
	uint16_t todo[2 * CODE_MAX];
	unsigned n = 0;

	todo[n++] = first;
	while (n) {
		uint16_t at = todo[--n];
		const struct instruction *i = &p->code[at];
		if (s->in[at])
			continue;
		s->in[at] = true;
		if (i->op == OP_SPLIT)
			todo[n++] = i->b;
		if (i->op == OP_SPLIT || i->op == OP_JUMP)
			todo[n++] = i->a;
		else
			s->at[s->n++] = at;
	}
}

static bool accepts(const struct instruction *i, uint32_t c)
{
	if (i->op == OP_CHAR)
		return i->c == c;
	if (i->op == OP_ANY)
		return c != '\n' && c != '\r';
	return i->op == OP_CLASS && class_has(i->set, c);
}

static bool run(const struct parser *p, struct gm_bytes text)
{
	struct states a = {.n = 0}, b;
	struct gm_in in = gm_in_bytes(text);

	reach(p, &a, 0);
	while (gm_in_left(&in) && a.n) {
		uint32_t c = take_char(&in);
		memset(&b, 0, sizeof b);
		for (unsigned i = 0; i < a.n; i++)
			if (accepts(&p->code[a.at[i]], c))
				reach(p, &b, (uint16_t)(a.at[i] + 1));
		a = b;
	}
	for (unsigned i = 0; i < a.n; i++)
		if (p->code[a.at[i]].op == OP_END)
			return true;
	return false;
}

bool gm_iregexp_match(struct gm_bytes pattern, struct gm_bytes text)
{
	struct parser p = {.in = gm_in_bytes(pattern)};
	size_t n = pattern.n;

	if (n > PATTERN_MAX)
		return false;
	if (n >= 2 && pattern.p[0] == '^' && pattern.p[n - 1] == '$' && pattern.p[n - 2] != '\\')
		p.in = gm_in(pattern.p + 1, n - 2);
	branch(&p);
	emit(&p, (struct instruction){.op = OP_END});
	return !p.bad && gm_in_left(&p.in) == 0 && p.in.err == GM_E_OK && run(&p, text);
}

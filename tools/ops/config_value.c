/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_value.c - one scalar to one value.
 *
 * ${NAME} and file: are filled in here, after the file was understood as YAML: what they hold
 * can never become a key, a list or another value. Errors show what the file says, not what
 * was filled in.
 */
#define _GNU_SOURCE /* strerrordesc_np */
#include "tools/ops/config_value.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kolk/kolk.h>

#include "tools/ops/config_env.h"
#include "tools/ops/config_error.h"
#include "tools/ops/config_schema.h"
#include "tools/ops/config_yaml.h"

/* One value on its way from its node to its field. */
struct value {
	struct kolk__place at;
	const struct kolk__setting *setting;
	const struct kolk__node *node;
	char *text; /* what the node says, with everything filled in and a zero behind it */
	size_t size;
};

/* ---- ${NAME}, ${NAME:-default}, $$ */

static bool add(struct value *v, const char *text, size_t size)
{
	if (v->size + size > KOLK__VALUE_MAX)
		return kolk__wrong(v->at, "", "the value is longer than 64 KiB");
	memcpy(v->text + v->size, text, size);
	v->size += size;
	return true;
}

static bool is_name(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (!((text[i] >= 'A' && text[i] <= 'Z') || (text[i] >= 'a' && text[i] <= 'z') ||
		      text[i] == '_' || (i > 0 && text[i] >= '0' && text[i] <= '9')))
			return false;
	return size > 0;
}

/* What stands between ${ and }. */
static bool add_variable(struct value *v, const char *text, size_t size)
{
	const char *colon = memchr(text, ':', size);
	size_t name_size = colon != NULL ? (size_t)(colon - text) : size;
	struct kolk__shown name = kolk__show(text, name_size);
	const char *value;

	if (!is_name(text, name_size))
		return kolk__wrong(v->at, "a dollar sign is written $$",
				   "%s is no name of an environment variable", name.text);
	if (colon != NULL && (size < name_size + 2 || colon[1] != '-'))
		return kolk__wrong(v->at, "a default is written ${NAME:-default}",
				   "%s is followed by what is not understood", name.text);
	value = kolk__environment_get(v->at.r, text, name_size);
	if (value != NULL)
		return add(v, value, strlen(value));
	if (colon == NULL)
		return kolk__wrong(v->at, "set it, or give a default: ${NAME:-default}",
				   "the environment variable %s is not set, or empty", name.text);
	return add(v, colon + 2, size - name_size - 2);
}

static bool fill(struct value *v)
{
	const char *at = v->node->text, *end = at + v->node->size;

	while (at < end) {
		const char *dollar = memchr(at, '$', (size_t)(end - at));
		const char *brace;

		dollar = dollar != NULL ? dollar : end;
		if (!add(v, at, (size_t)(dollar - at)))
			return false;
		if (dollar == end)
			return true;
		if (end - dollar > 1 && dollar[1] == '$') {
			if (!add(v, "$", 1))
				return false;
			at = dollar + 2;
			continue;
		}
		brace = end - dollar > 1 && dollar[1] == '{' ?
				memchr(dollar, '}', (size_t)(end - dollar)) : NULL;
		if (brace == NULL)
			return kolk__wrong(v->at, "a dollar sign is written $$",
					   "a '$' that begins no ${NAME}");
		if (!add_variable(v, dollar + 2, (size_t)(brace - dollar) - 2))
			return false;
		at = brace + 1;
	}
	return true;
}

/* The node's text, or a copy of it with everything filled in. */
static bool text_read(struct value *v)
{
	const struct kolk__node *node = v->node;
	char room[KOLK__VALUE_MAX];
	bool ok;

	v->size = 0;
	if (node->source != NULL || memchr(node->text, '$', node->size) == NULL) {
		v->text = (char *)(uintptr_t)node->text; /* the arena's, only read */
		v->size = node->size;
		return true;
	}
	v->text = room;
	ok = fill(v);
	if (ok) {
		char *kept = kolk__arena_get(v->at.r->arena, v->size + 1);

		if (kept != NULL)
			memcpy(kept, room, v->size);
		v->text = kept;
		ok = kept != NULL || kolk__no_memory(v->at.r);
	}
	explicit_bzero(room, sizeof room);
	return ok;
}

/* What the file says, for an error. */
static struct kolk__shown node_show(const struct value *v)
{
	return kolk__show(v->node->text, v->node->size);
}

/* ---- numbers */

/* Digits at the start of the text; what follows them in *rest. False when there are none.
 * Beyond any limit it is the highest number that there is. */
static bool digits(const char *text, uint64_t *value, const char **rest)
{
	*value = 0;
	for (*rest = text; **rest >= '0' && **rest <= '9'; (*rest)++)
		*value = *value > UINT64_MAX / 100 ? UINT64_MAX :
						     *value * 10 + (uint64_t)(**rest - '0');
	return *rest != text;
}

struct unit {
	const char *name;
	uint64_t value;
};

static const struct unit duration_units[] = {
	{ "d", 24 * 3600 * KOLK_S_NS }, { "h", 3600 * KOLK_S_NS }, { "m", 60 * KOLK_S_NS },
	{ "s", KOLK_S_NS },		{ "ms", KOLK_MS_NS },	   { "us", KOLK_US_NS },
	{ "ns", 1 },			{ NULL, 0 }
};
static const struct unit size_units[] = {
	{ "GiB", 1 << 30 }, { "MiB", 1 << 20 }, { "KiB", 1 << 10 }, { "B", 1 }, { NULL, 0 }
};

static const struct unit *unit_find(const struct unit *unit, const char *name)
{
	while (unit->name != NULL && strcmp(unit->name, name) != 0)
		unit++;
	return unit->name != NULL ? unit : NULL;
}

/* A bound as a person writes it: in the biggest unit that leaves no rest. */
static void bound_text(const struct unit *unit, uint64_t value, char *text, size_t size)
{
	while (unit != NULL && unit->name != NULL && value % unit->value != 0)
		unit++;
	snprintf(text, size, "%llu%s", (unsigned long long)(unit != NULL ? value / unit->value : value),
		 unit != NULL ? unit->name : "");
}

void kolk__duration_text(uint64_t ns, char *text, size_t size)
{
	bound_text(duration_units, ns, text, size);
}

static bool out_of_range(const struct value *v, const struct unit *units)
{
	const struct kolk__setting *setting = v->setting;
	struct kolk__shown shown = node_show(v);
	char low[32], high[32];

	bound_text(units, setting->min, low, sizeof low);
	bound_text(units, setting->max, high, sizeof high);
	return kolk__wrong(v->at, "", "'%s' must be %s to %s, not %s", setting->name, low, high,
			   shown.text);
}

/* 010 is 8 for YAML 1.1 and 10 for YAML 1.2: refused as ambiguous. */
static bool is_octal(const char *text)
{
	return text[0] == '0' && text[1] >= '0' && text[1] <= '9';
}

static bool octal(const struct value *v)
{
	struct kolk__shown shown = node_show(v);

	return kolk__wrong(v->at, "write it without the zero in front",
			   "'%s' is %s, which some read as an octal number", v->setting->name,
			   shown.text);
}

/* The spelled values: true and *value when it is one that may be here. */
static bool spelled(const struct value *v, uint64_t *number)
{
	const bool time = v->setting->kind == KOLK__DURATION;
	const struct {
		const char *word;
		uint32_t allowed;
		uint64_t value;
	} words[] = {
		{ "auto", KOLK__MAY_BE_DEFAULT, 0 },
		{ "0", time ? 0 : KOLK__MAY_BE_DEFAULT, 0 },
		{ "0", time ? 0 : KOLK__MAY_BE_NONE, KOLK_NONE },
		{ "0s", time ? KOLK__MAY_BE_NONE : 0, KOLK_AT_ONCE },
		{ "none", KOLK__MAY_BE_NONE, time ? KOLK_AT_ONCE : KOLK_NONE },
		{ "off", time ? 0 : KOLK__MAY_BE_NONE, KOLK_NONE },
		{ "off", KOLK__MAY_BE_FOREVER, KOLK_FOREVER },
		{ "forever", KOLK__MAY_BE_FOREVER, KOLK_FOREVER },
		{ "unlimited", KOLK__MAY_BE_UNLIMITED, KOLK_UNLIMITED },
	};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (v->setting->allowed & words[i].allowed && strcmp(v->text, words[i].word) == 0) {
			*number = words[i].value;
			return true;
		}
	return false;
}

static bool count_read(const struct value *v, uint64_t *number)
{
	const struct kolk__setting *setting = v->setting;
	struct kolk__shown shown = node_show(v);
	const char *rest;

	if (spelled(v, number))
		return true;
	if (is_octal(v->text))
		return octal(v);
	if (!digits(v->text, number, &rest) || *rest != 0)
		return kolk__wrong(v->at, "write a whole number without a unit",
				   "'%s' is a count, and %s is not", setting->name, shown.text);
	if (*number < setting->min || *number > setting->max)
		return out_of_range(v, NULL);
	return true;
}

static bool amount_read(const struct value *v, uint64_t *number)
{
	const struct kolk__setting *setting = v->setting;
	const bool time = setting->kind == KOLK__DURATION;
	const struct unit *units = time ? duration_units : size_units, *unit;
	const char *what = time ? "a duration" : "a size";
	const char *example = time ? "write 30s, 250ms, 5m or 1h" : "write 512B or 64KiB";
	struct kolk__shown shown = node_show(v);
	const char *rest;

	if (spelled(v, number))
		return true;
	if (is_octal(v->text))
		return octal(v);
	if (!digits(v->text, number, &rest))
		return kolk__wrong(v->at, example, "'%s' is %s, and %s is not", setting->name,
				   what, shown.text);
	if (*rest == 0)
		return kolk__wrong(v->at, example, "'%s' is %s, and %s has no unit",
				   setting->name, what, shown.text);
	unit = unit_find(units, rest);
	if (unit == NULL)
		return kolk__wrong(v->at, example, "'%s' is %s, and %s is not", setting->name,
				   what, shown.text);
	if (*number > UINT64_MAX / unit->value || *number * unit->value < setting->min ||
	    *number * unit->value > setting->max)
		return out_of_range(v, units);
	*number *= unit->value;
	return true;
}

/* ---- words */

static bool word_read(const struct value *v, const struct kolk_option_word *words,
		      uint64_t *number)
{
	struct kolk__shown shown = node_show(v);
	char all[96] = "";

	for (const struct kolk_option_word *word = words; word->name != NULL; word++) {
		if (strcmp(word->name, v->text) == 0) {
			*number = word->value;
			return true;
		}
		snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s",
			 word == words ? "" : word[1].name == NULL ? " or " : ", ",
			 word->name);
	}
	return kolk__wrong(v->at, all, "'%s' cannot be %s", v->setting->name, shown.text);
}

static bool switch_read(const struct value *v, uint64_t *number)
{
	static const struct kolk_option_word on[] = { { "true", 1 }, { "false", 0 }, { NULL, 0 } };
	static const struct kolk_option_word off[] = { { "true", 0 }, { "false", 1 }, { NULL, 0 } };

	return word_read(v, v->setting->kind == KOLK__SWITCH ? on : off, number);
}

/* ---- texts and secrets */

static bool string_read(const struct value *v, const char **target)
{
	const struct kolk__setting *setting = v->setting;

	if (strlen(v->text) != v->size)
		return kolk__wrong(v->at, "", "'%s' contains a zero byte", setting->name);
	if (v->size == 0)
		return kolk__wrong(v->at, "", "'%s' is empty", setting->name);
	if (v->size > setting->max)
		return kolk__wrong(v->at, "", "'%s' is longer than %u bytes", setting->name,
				   (unsigned)setting->max);
	*target = v->text;
	return true;
}

/* Why a file may not be read as a secret; NULL = it may. */
static const char *unfit(int fd)
{
	struct stat about;

	if (fd < 0 || fstat(fd, &about) != 0)
		return strerrordesc_np(errno);
	if (!S_ISREG(about.st_mode))
		return "it is no regular file";
	if (about.st_mode & 0007)
		return "everybody on this machine may read or write it";
	if (about.st_size > KOLK__VALUE_MAX)
		return "it is longer than 64 KiB";
	return NULL;
}

/* The content of a file, up to the capacity; NULL or why not. */
static const char *content(const char *path, char room[KOLK__VALUE_MAX], size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	const char *why = unfit(fd);
	ssize_t got = 1;

	*size = 0;
	while (why == NULL && got > 0 && *size < KOLK__VALUE_MAX) {
		got = read(fd, room + *size, KOLK__VALUE_MAX - *size);
		if (got > 0)
			*size += (size_t)got;
		else if (got < 0)
			why = strerrordesc_np(errno);
	}
	if (fd >= 0)
		close(fd);
	return why;
}

/* The same as the value: without the newline at its end. */
static bool secret_file(struct value *v, const char *path)
{
	char room[KOLK__VALUE_MAX];
	const char *why = content(path, room, &v->size);
	struct kolk__shown shown = kolk__show(path, strlen(path));

	if (v->size > 0 && room[v->size - 1] == '\n')
		v->size--;
	if (v->size > 0 && room[v->size - 1] == '\r')
		v->size--;
	v->text = kolk__arena_get(v->at.r->arena, v->size + 1);
	if (v->text != NULL)
		memcpy(v->text, room, v->size);
	explicit_bzero(room, sizeof room);
	if (why != NULL)
		return kolk__wrong(v->at, "", "the secret in %s is not read: %s", shown.text, why);
	return v->text != NULL || kolk__no_memory(v->at.r);
}

static bool secret_read(struct value *v, struct kolk__secret *target)
{
	const struct kolk__setting *setting = v->setting;

	if (v->size > 5 && memcmp(v->text, "file:", 5) == 0 && strlen(v->text) == v->size) {
		const char *path = v->text + 5;

		if (path[0] != '/')
			return kolk__wrong(v->at, "write file:/path",
					   "'%s' names a file without its whole path",
					   setting->name);
		if (!secret_file(v, path))
			return false;
	}
	if (v->size < setting->min || v->size > setting->max)
		return kolk__wrong(v->at, "", "'%s' must be %u to %u bytes long", setting->name,
				   (unsigned)setting->min, (unsigned)setting->max);
	target->bytes = v->text;
	target->size = v->size;
	return true;
}

static bool password_read(struct value *v, const char **target)
{
	struct kolk__secret secret;

	if (!secret_read(v, &secret))
		return false;
	if (memchr(secret.bytes, 0, secret.size) != NULL)
		return kolk__wrong(v->at, "", "'%s' contains a zero byte", v->setting->name);
	*target = secret.bytes; /* a zero follows it */
	return true;
}

/* ---- all of them */

static bool number_read(const struct value *v, uint64_t *number)
{
	switch (v->setting->kind) {
	case KOLK__COUNT:
		return count_read(v, number);
	case KOLK__DURATION:
	case KOLK__SIZE:
		return amount_read(v, number);
	case KOLK__WORD:
		return word_read(v, v->setting->words, number);
	default:
		return switch_read(v, number);
	}
}

static bool number_put(const struct value *v, void *target)
{
	uint64_t wide = 0;
	uint32_t narrow;

	if (strlen(v->text) != v->size)
		return kolk__wrong(v->at, "", "'%s' contains a zero byte", v->setting->name);
	if (!number_read(v, &wide))
		return false;
	narrow = (uint32_t)wide; /* its range was checked */
	if (v->setting->size == sizeof wide)
		memcpy(target, &wide, sizeof wide);
	else
		memcpy(target, &narrow, sizeof narrow);
	return true;
}

bool kolk__value_read(struct kolk__reading *r, const struct kolk__setting *setting,
		      const struct kolk__node *node, void *target)
{
	struct value v = { .at = kolk__at(r, node), .setting = setting, .node = node };

	if (node->kind == KOLK__NOTHING)
		return kolk__wrong(kolk__at_key(r, node), "", "'%s' has no value", setting->name);
	if (node->kind != KOLK__TEXT)
		return kolk__wrong(v.at, "", "'%s' is a single value, not a %s", setting->name,
				   node->kind == KOLK__LIST ? "list" : "map");
	if (!text_read(&v))
		return false;
	switch (setting->kind) {
	case KOLK__STRING:
		return string_read(&v, target);
	case KOLK__SECRET:
		return secret_read(&v, target);
	case KOLK__PASSWORD:
		return password_read(&v, target);
	default:
		return number_put(&v, target);
	}
}

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

/* ---- ${NAME}, ${NAME:-default}, $$ */

struct filled {
	char *text; /* of the arena */
	size_t size;
};

static bool add(struct kolk__reading *r, const struct kolk__node *node, struct filled *filled,
		const char *text, size_t size)
{
	if (filled->size + size > KOLK__VALUE_MAX)
		return kolk__wrong(r, node, "", "the value is longer than 64 KiB");
	memcpy(filled->text + filled->size, text, size);
	filled->size += size;
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
static bool add_variable(struct kolk__reading *r, const struct kolk__node *node,
			 struct filled *filled, const char *text, size_t size)
{
	const char *colon = memchr(text, ':', size);
	size_t name_size = colon != NULL ? (size_t)(colon - text) : size;
	struct kolk__shown name = kolk__show(text, name_size);
	const char *value;

	if (!is_name(text, name_size))
		return kolk__wrong(r, node, "a dollar sign is written $$",
				   "%s is no name of an environment variable", name.text);
	if (colon != NULL && (size < name_size + 2 || colon[1] != '-'))
		return kolk__wrong(r, node, "a default is written ${NAME:-default}",
				   "%s is followed by what is not understood", name.text);
	value = kolk__environment_get(r, text, name_size);
	if (value != NULL)
		return add(r, node, filled, value, strlen(value));
	if (colon == NULL)
		return kolk__wrong(r, node, "set it, or give a default: ${NAME:-default}",
				   "the environment variable %s is not set", name.text);
	return add(r, node, filled, colon + 2, size - name_size - 2);
}

static bool fill(struct kolk__reading *r, const struct kolk__node *node, struct filled *filled)
{
	const char *at = node->text, *end = node->text + node->size;

	while (at < end) {
		const char *dollar = memchr(at, '$', (size_t)(end - at));
		const char *brace;

		dollar = dollar != NULL ? dollar : end;
		if (!add(r, node, filled, at, (size_t)(dollar - at)))
			return false;
		if (dollar == end)
			return true;
		if (end - dollar > 1 && dollar[1] == '$') {
			if (!add(r, node, filled, "$", 1))
				return false;
			at = dollar + 2;
			continue;
		}
		brace = end - dollar > 1 && dollar[1] == '{' ?
				memchr(dollar, '}', (size_t)(end - dollar)) : NULL;
		if (brace == NULL)
			return kolk__wrong(r, node, "a dollar sign is written $$",
					   "a '$' that begins no ${NAME}");
		if (!add_variable(r, node, filled, dollar + 2, (size_t)(brace - dollar) - 2))
			return false;
		at = brace + 1;
	}
	return true;
}

/* A node's text with everything filled in and a zero behind it. */
static bool text_of(struct kolk__reading *r, const struct kolk__node *node,
		    struct filled *filled)
{
	char room[KOLK__VALUE_MAX];
	bool ok = true;

	filled->size = 0;
	if (node->source != NULL || memchr(node->text, '$', node->size) == NULL) {
		filled->text = (char *)(uintptr_t)node->text; /* the arena's, only read */
		filled->size = node->size;
		return true;
	}
	filled->text = room;
	ok = fill(r, node, filled);
	if (ok) {
		char *kept = kolk__arena_get(r->arena, filled->size + 1);

		if (kept != NULL)
			memcpy(kept, room, filled->size);
		filled->text = kept;
		ok = kept != NULL || kolk__no_memory(r);
	}
	explicit_bzero(room, sizeof room);
	return ok;
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

static bool out_of_range(struct kolk__reading *r, const struct kolk__setting *setting,
			 const struct kolk__node *node, const struct unit *units)
{
	struct kolk__shown shown = kolk__show(node->text, node->size);
	char low[32], high[32];

	bound_text(units, setting->min, low, sizeof low);
	bound_text(units, setting->max, high, sizeof high);
	return kolk__wrong(r, node, "", "'%s' must be %s to %s, not %s", setting->name, low, high,
			   shown.text);
}

/* 010 is 8 for YAML 1.1 and 10 for YAML 1.2: refused as ambiguous. */
static bool is_octal(const char *text)
{
	return text[0] == '0' && text[1] >= '0' && text[1] <= '9';
}

static bool octal(struct kolk__reading *r, const struct kolk__setting *setting,
		  const struct kolk__node *node)
{
	struct kolk__shown shown = kolk__show(node->text, node->size);

	return kolk__wrong(r, node, "write it without the zero in front",
			   "'%s' is %s, which some read as an octal number", setting->name,
			   shown.text);
}

/* The spelled values: true and *value when it is one that may be here. */
static bool spelled(const struct kolk__setting *setting, const char *text, uint64_t *value)
{
	const bool time = setting->kind == KOLK__DURATION;
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
		if (setting->allowed & words[i].allowed && strcmp(text, words[i].word) == 0) {
			*value = words[i].value;
			return true;
		}
	return false;
}

static bool count_read(struct kolk__reading *r, const struct kolk__setting *setting,
		       const struct kolk__node *node, const char *text, uint64_t *value)
{
	struct kolk__shown shown = kolk__show(node->text, node->size);
	const char *rest;

	if (spelled(setting, text, value))
		return true;
	if (is_octal(text))
		return octal(r, setting, node);
	if (!digits(text, value, &rest) || *rest != 0)
		return kolk__wrong(r, node, "write a whole number without a unit",
				   "'%s' is a count, and %s is not", setting->name, shown.text);
	if (*value < setting->min || *value > setting->max)
		return out_of_range(r, setting, node, NULL);
	return true;
}

static bool amount_read(struct kolk__reading *r, const struct kolk__setting *setting,
			const struct kolk__node *node, const char *text, uint64_t *value)
{
	const bool time = setting->kind == KOLK__DURATION;
	const struct unit *units = time ? duration_units : size_units, *unit;
	const char *what = time ? "a duration" : "a size";
	const char *example = time ? "write 30s, 250ms, 5m or 1h" : "write 512B or 64KiB";
	struct kolk__shown shown = kolk__show(node->text, node->size);
	const char *rest;

	if (spelled(setting, text, value))
		return true;
	if (is_octal(text))
		return octal(r, setting, node);
	if (!digits(text, value, &rest))
		return kolk__wrong(r, node, example, "'%s' is %s, and %s is not", setting->name,
				   what, shown.text);
	if (*rest == 0)
		return kolk__wrong(r, node, example, "'%s' is %s, and %s has no unit",
				   setting->name, what, shown.text);
	unit = unit_find(units, rest);
	if (unit == NULL)
		return kolk__wrong(r, node, example, "'%s' is %s, and %s is not", setting->name,
				   what, shown.text);
	if (*value > UINT64_MAX / unit->value || *value * unit->value < setting->min ||
	    *value * unit->value > setting->max)
		return out_of_range(r, setting, node, units);
	*value *= unit->value;
	return true;
}

/* ---- words */

static bool word_read(struct kolk__reading *r, const struct kolk__setting *setting,
		      const struct kolk__node *node, const char *text, uint64_t *value)
{
	struct kolk__shown shown = kolk__show(node->text, node->size);
	char all[96] = "";

	for (const struct kolk_option_word *word = setting->words; word->name != NULL; word++) {
		if (strcmp(word->name, text) == 0) {
			*value = word->value;
			return true;
		}
		snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s",
			 word == setting->words ? "" : word[1].name == NULL ? " or " : ", ",
			 word->name);
	}
	return kolk__wrong(r, node, all, "'%s' cannot be %s", setting->name, shown.text);
}

static bool switch_read(struct kolk__reading *r, const struct kolk__setting *setting,
			const struct kolk__node *node, const char *text, uint64_t *value)
{
	static const struct kolk_option_word on[] = { { "true", 1 }, { "false", 0 }, { NULL, 0 } };
	static const struct kolk_option_word off[] = { { "true", 0 }, { "false", 1 }, { NULL, 0 } };
	struct kolk__setting words = *setting;

	words.words = setting->kind == KOLK__SWITCH ? on : off;
	return word_read(r, &words, node, text, value);
}

/* ---- texts and secrets */

static bool string_read(struct kolk__reading *r, const struct kolk__setting *setting,
			const struct kolk__node *node, const struct filled *filled,
			const char **target)
{
	if (strlen(filled->text) != filled->size)
		return kolk__wrong(r, node, "", "'%s' contains a zero byte", setting->name);
	if (filled->size == 0)
		return kolk__wrong(r, node, "", "'%s' is empty", setting->name);
	if (filled->size > setting->max)
		return kolk__wrong(r, node, "", "'%s' is longer than %u bytes", setting->name,
				   (unsigned)setting->max);
	*target = filled->text;
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

/* The same as a secret: without the newline at its end. */
static bool secret_file(struct kolk__reading *r, const struct kolk__node *node, const char *path,
			struct filled *secret)
{
	char room[KOLK__VALUE_MAX];
	const char *why = content(path, room, &secret->size);
	struct kolk__shown shown = kolk__show(path, strlen(path));

	if (secret->size > 0 && room[secret->size - 1] == '\n')
		secret->size--;
	if (secret->size > 0 && room[secret->size - 1] == '\r')
		secret->size--;
	secret->text = kolk__arena_get(r->arena, secret->size + 1);
	if (secret->text != NULL)
		memcpy(secret->text, room, secret->size);
	explicit_bzero(room, sizeof room);
	if (why != NULL)
		return kolk__wrong(r, node, "", "the secret in %s is not read: %s", shown.text,
				   why);
	return secret->text != NULL || kolk__no_memory(r);
}

static bool secret_read(struct kolk__reading *r, const struct kolk__setting *setting,
			const struct kolk__node *node, struct filled *filled,
			struct kolk__secret *target)
{
	if (filled->size > 5 && memcmp(filled->text, "file:", 5) == 0 &&
	    strlen(filled->text) == filled->size) {
		const char *path = filled->text + 5;

		if (path[0] != '/')
			return kolk__wrong(r, node, "write file:/path",
					   "'%s' names a file without its whole path",
					   setting->name);
		if (!secret_file(r, node, path, filled))
			return false;
	}
	if (filled->size < setting->min || filled->size > setting->max)
		return kolk__wrong(r, node, "", "'%s' must be %u to %u bytes long", setting->name,
				   (unsigned)setting->min, (unsigned)setting->max);
	target->bytes = filled->text;
	target->size = filled->size;
	return true;
}

static bool password_read(struct kolk__reading *r, const struct kolk__setting *setting,
			  const struct kolk__node *node, struct filled *filled,
			  const char **target)
{
	struct kolk__secret secret;

	if (!secret_read(r, setting, node, filled, &secret))
		return false;
	if (memchr(secret.bytes, 0, secret.size) != NULL)
		return kolk__wrong(r, node, "", "'%s' contains a zero byte", setting->name);
	*target = secret.bytes; /* a zero follows it */
	return true;
}

/* ---- all of them */

static bool number_read(struct kolk__reading *r, const struct kolk__setting *setting,
			const struct kolk__node *node, const char *text, uint64_t *value)
{
	switch (setting->kind) {
	case KOLK__COUNT:
		return count_read(r, setting, node, text, value);
	case KOLK__DURATION:
	case KOLK__SIZE:
		return amount_read(r, setting, node, text, value);
	case KOLK__WORD:
		return word_read(r, setting, node, text, value);
	default:
		return switch_read(r, setting, node, text, value);
	}
}

bool kolk__value_read(struct kolk__reading *r, const struct kolk__setting *setting,
		      const struct kolk__node *node, void *target)
{
	struct filled filled;
	uint64_t value = 0;

	if (node->kind == KOLK__NOTHING)
		return kolk__wrong_key(r, node, "", "'%s' has no value", setting->name);
	if (node->kind != KOLK__TEXT)
		return kolk__wrong(r, node, "", "'%s' is a single value, not a %s", setting->name,
				   node->kind == KOLK__LIST ? "list" : "map");
	if (!text_of(r, node, &filled))
		return false;
	if (setting->kind == KOLK__STRING)
		return string_read(r, setting, node, &filled, target);
	if (setting->kind == KOLK__SECRET)
		return secret_read(r, setting, node, &filled, target);
	if (setting->kind == KOLK__PASSWORD)
		return password_read(r, setting, node, &filled, target);
	if (strlen(filled.text) != filled.size)
		return kolk__wrong(r, node, "", "'%s' contains a zero byte", setting->name);
	if (!number_read(r, setting, node, filled.text, &value))
		return false;
	if (setting->size == sizeof value) {
		memcpy(target, &value, sizeof value);
	} else {
		uint32_t narrow = (uint32_t)value; /* its range was checked */

		memcpy(target, &narrow, sizeof narrow);
	}
	return true;
}

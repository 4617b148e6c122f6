/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.c - the file of a warm start: JSON, written beside its place and moved there.
 *
 *   {"kolk-gateway": "warm state", "version": 2, "time": 1795000000, "pairs": [
 *     {"kind": "session", "pool": "github", "tenant": "alice", "uses": 11.5,
 *      "protocolVersion": "2025-11-25", "capabilities": "{}", "clientInfo": "{...}"}]}
 *
 * Uses are as of that time (s since 1970). Version 1 had none; it is read, too.
 *
 * Texts of a client are kept as it wrote them: byte for byte they are what its sessions are told
 * apart by. A file without the mark, or with a pair that is none, is not taken, and not written over.
 */
#define _GNU_SOURCE /* mkostemp, strerrordesc_np */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/gateway/warm/warm.h"

#define MARK_KEY "kolk-gateway"
#define MARK "warm state"

enum { VERSION = 2, FILE_MAX = 16 * 1024 * 1024, BESIDE = 4200 };

static const char *const kinds[GW_WARM_KINDS] = { "connection", "session", "call" };
static const char *const keys[GW_WARM_TEXTS] = { "pool", "tenant", "protocolVersion",
						 "capabilities", "clientInfo" };

/* ---- lists */

void gw_warm_list_add(struct gw_warm_list *list, struct gw_warm_pair *pair)
{
	uint32_t capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
	struct gw_warm_pair **grown = list->pairs;

	if (pair == NULL)
		return;
	if (list->count == list->capacity) {
		grown = realloc(list->pairs, capacity * sizeof(struct gw_warm_pair *));
		if (grown == NULL) {
			free(pair);
			return;
		}
		list->pairs = grown;
		list->capacity = capacity;
	}
	list->pairs[list->count++] = pair;
}

static int by_text(const void *a, const void *b)
{
	const struct gw_warm_pair *left = *(struct gw_warm_pair *const *)a;
	const struct gw_warm_pair *right = *(struct gw_warm_pair *const *)b;

	if (left->kind != right->kind)
		return left->kind < right->kind ? -1 : 1;
	if (left->size != right->size)
		return left->size < right->size ? -1 : 1;
	return memcmp(left->text, right->text, left->size);
}

static int by_uses(const void *a, const void *b)
{
	const struct gw_warm_pair *left = *(struct gw_warm_pair *const *)a;
	const struct gw_warm_pair *right = *(struct gw_warm_pair *const *)b;

	if (left->uses != right->uses)
		return left->uses > right->uses ? -1 : 1;
	return by_text(a, b);
}

static double bounded(double uses)
{
	return uses < GW_WARM_USES_MAX ? uses : GW_WARM_USES_MAX;
}

void gw_warm_list_sort(struct gw_warm_list *list, uint32_t max)
{
	uint32_t kept = 0;

	if (list->count == 0)
		return;
	qsort(list->pairs, list->count, sizeof(struct gw_warm_pair *), by_text);
	for (uint32_t i = 1; i < list->count; i++) {
		if (by_text(&list->pairs[kept], &list->pairs[i]) != 0) {
			list->pairs[++kept] = list->pairs[i];
			continue;
		}
		list->pairs[kept]->uses = bounded(list->pairs[kept]->uses + list->pairs[i]->uses);
		free(list->pairs[i]);
	}
	list->count = kept + 1;
	qsort(list->pairs, list->count, sizeof(struct gw_warm_pair *), by_uses);
	while (list->count > max ||
	       (list->count > 0 && list->pairs[list->count - 1]->uses < GW_WARM_USES_MIN))
		free(list->pairs[--list->count]);
}

void gw_warm_list_free(struct gw_warm_list *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		free(list->pairs[i]);
	free(list->pairs);
	*list = (struct gw_warm_list){ .pairs = NULL };
}

/* ---- read */

static bool refuse(char why[GW_WARM_WHY], const char *what)
{
	snprintf(why, GW_WARM_WHY, "%s", what);
	return false;
}

static bool is_kind(const json_t *name, enum gw_warm_kind *kind)
{
	for (int i = 0; i < GW_WARM_KINDS; i++)
		if (json_is_string(name) && strcmp(json_string_value(name), kinds[i]) == 0) {
			*kind = (enum gw_warm_kind)i;
			return true;
		}
	return false;
}

/* NULL = it is none that was written here, or no memory. */
static struct gw_warm_pair *pair_of(const json_t *object)
{
	const json_t *uses = json_object_get(object, "uses");
	struct gw_warm_use use;

	if (!is_kind(json_object_get(object, "kind"), &use.kind) || !json_is_number(uses) ||
	    json_number_value(uses) < 0)
		return NULL;
	for (int i = 0; i < GW_WARM_TEXTS; i++) {
		const json_t *text = json_object_get(object, keys[i]);

		if (text == NULL ? i <= GW_WARM_TENANT : !json_is_string(text))
			return NULL;
		use.texts[i] = (struct kolk_mcp_part){ text != NULL ? json_string_value(text) : "",
						       text != NULL ? json_string_length(text) : 0 };
	}
	return gw_warm_pair_make(&use, bounded(json_number_value(uses)));
}

static bool take(const json_t *root, uint32_t max, struct gw_warm_list *list,
		 char why[GW_WARM_WHY])
{
	const json_t *mark = json_object_get(root, MARK_KEY), *pairs = json_object_get(root, "pairs");
	const json_int_t version = json_integer_value(json_object_get(root, "version"));
	const json_t *at = json_object_get(root, "time");

	if (!json_is_string(mark) || strcmp(json_string_value(mark), MARK) != 0)
		return refuse(why, "it is no state of kolk-gateway");
	if (version < 1 || version > VERSION)
		return refuse(why, "it is of another version");
	if (version > 1 && (!json_is_integer(at) || json_integer_value(at) < 0))
		return refuse(why, "it does not say of what time it is");
	if (!json_is_array(pairs))
		return refuse(why, "it has no pairs");
	list->at_s = (uint64_t)json_integer_value(at);
	for (size_t i = 0; i < json_array_size(pairs) && i < max; i++) {
		struct gw_warm_pair *pair = pair_of(json_array_get(pairs, i));

		if (pair == NULL) {
			gw_warm_list_free(list);
			snprintf(why, GW_WARM_WHY, "pair %zu is damaged", i + 1);
			return false;
		}
		gw_warm_list_add(list, pair);
	}
	return true;
}

static bool parse(struct kolk_mcp_part text, uint32_t max, struct gw_warm_list *list,
		  char why[GW_WARM_WHY])
{
	json_error_t error;
	json_t *root = json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES, &error);
	bool taken;

	if (root == NULL) {
		snprintf(why, GW_WARM_WHY, "line %d, column %d: it is damaged", error.line,
			 error.column);
		return false;
	}
	taken = take(root, max, list, why);
	json_decref(root);
	return taken;
}

/* Malloc'd; NULL and why, which is "" if there is no file. */
static char *read_whole(const char *path, size_t *size, char why[GW_WARM_WHY])
{
	struct gw_trouble trouble;
	FILE *file = gw_file_open(path, "", &trouble);
	char *text = NULL;

	if (file == NULL) {
		(void)refuse(why, access(path, F_OK) != 0 && errno == ENOENT ? "" : trouble.what);
		return NULL;
	}
	text = malloc(FILE_MAX + 1);
	*size = text != NULL ? fread(text, 1, FILE_MAX + 1, file) : 0;
	if (text == NULL || ferror(file))
		(void)refuse(why, text == NULL ? "there is no memory" : "it cannot be read");
	else if (*size > FILE_MAX)
		(void)refuse(why, "it is larger than 16 MiB");
	else
		why[0] = '\0';
	fclose(file);
	if (text != NULL && why[0] == '\0')
		return text;
	free(text);
	return NULL;
}

bool gw_warm_file_read(const char *path, uint32_t max, struct gw_warm_list *list,
		       char why[GW_WARM_WHY])
{
	size_t size;
	char *text = read_whole(path, &size, why);
	bool taken;

	if (text == NULL)
		return why[0] == '\0';
	if (size == 0) {
		free(text);
		return true;
	}
	taken = parse((struct kolk_mcp_part){ text, size }, max, list, why);
	free(text);
	return taken;
}

/* ---- written */

/* Names that are no UTF-8 have no place in it. */
static json_t *object_of(const struct gw_warm_pair *pair)
{
	json_t *object = json_pack("{s:s, s:f}", "kind", kinds[pair->kind], "uses", pair->uses);

	for (int i = 0; object != NULL && i < GW_WARM_TEXTS; i++) {
		const char *text = gw_warm_pair_text(pair, (enum gw_warm_text)i);

		if (text[0] == '\0' && i > GW_WARM_TENANT)
			continue;
		if (json_object_set_new(object, keys[i], json_string(text)) == 0)
			continue;
		json_decref(object);
		object = NULL;
	}
	return object;
}

#define FORMAT (JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6))

/* Malloc'd; NULL = no memory. What would make it too large to be read is left out: the least used. */
static char *text_of(const struct gw_warm_list *list)
{
	uint32_t count = list->count;
	char *text = NULL;

	do {
		json_t *pairs = json_array();
		json_t *root = json_pack("{s:s, s:i, s:I, s:O}", MARK_KEY, MARK, "version", VERSION,
					 "time", (json_int_t)list->at_s, "pairs", pairs);

		for (uint32_t i = 0; root != NULL && i < count; i++)
			json_array_append_new(pairs, object_of(list->pairs[i]));
		free(text);
		text = root != NULL ? json_dumps(root, FORMAT) : NULL;
		json_decref(pairs);
		json_decref(root);
		count /= 2;
	} while (text != NULL && strlen(text) > FILE_MAX);
	return text;
}

static bool write_all(int fd, const char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		ssize_t size = write(fd, text, left);

		if (size < 0 && errno != EINTR)
			return false;
		text += size > 0 ? size : 0;
		left -= size > 0 ? (size_t)size : 0;
	}
	return true;
}

/* The file beside it is new, with a name that no other has: gateways that have the same state file do
 * not meet in it, and no link leads elsewhere. Nothing is left of it if it cannot be written. */
static bool write_beside(char *beside, const char *text)
{
	int fd = mkostemp(beside, O_CLOEXEC), error; /* mode 0600 */
	bool ok;

	if (fd < 0)
		return false;
	ok = write_all(fd, text) && fsync(fd) == 0;
	error = errno;
	close(fd);
	if (!ok)
		(void)unlink(beside);
	errno = error;
	return ok;
}

static bool move(const char *beside, const char *path)
{
	int error;

	if (rename(beside, path) == 0)
		return true;
	error = errno;
	(void)unlink(beside);
	errno = error;
	return false;
}

static void name_beside(const char *path, char beside[BESIDE])
{
	snprintf(beside, BESIDE, "%s.XXXXXX", path);
}

bool gw_warm_file_check(const char *path, char why[GW_WARM_WHY])
{
	char beside[BESIDE];

	name_beside(path, beside);
	if (!write_beside(beside, ""))
		return refuse(why, strerrordesc_np(errno));
	(void)unlink(beside);
	return true;
}

bool gw_warm_file_write(const char *path, const struct gw_warm_list *list, char why[GW_WARM_WHY])
{
	char *text = text_of(list), beside[BESIDE];
	bool written;

	if (text == NULL)
		return refuse(why, "there is no memory");
	name_beside(path, beside);
	written = write_beside(beside, text) && move(beside, path);
	if (!written)
		(void)refuse(why, strerrordesc_np(errno));
	free(text);
	return written;
}

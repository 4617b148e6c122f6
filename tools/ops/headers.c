/* SPDX-License-Identifier: Apache-2.0 */
/*
 * headers.c - from the library's headers and arguments to a request.
 *
 * The library takes the first of two headers of one name; a proxy in front may have used the other.
 * No correct client sends two, so such a request is doubtful and is refused.
 */
#include <string.h>

#include "core/base/ascii.h"
#include "tools/ops/headers.h"

enum { FRAMES = 2 }; /* how the body is delimited */

static const struct {
	const char *name;
	size_t offset; /* in struct kolk__request; not of the last ones */
} known[] = {
	{ "Host", offsetof(struct kolk__request, host) },
	{ "Origin", offsetof(struct kolk__request, origin) },
	{ "Sec-Fetch-Site", offsetof(struct kolk__request, fetch_site) },
	{ "Authorization", offsetof(struct kolk__request, authorization) },
	{ "Content-Type", offsetof(struct kolk__request, content_type) },
	{ "Content-Encoding", offsetof(struct kolk__request, content_encoding) },
	{ "Content-Length", 0 },
	{ "Transfer-Encoding", 0 },
};
enum { KNOWN = sizeof known / sizeof known[0], LENGTH = KNOWN - FRAMES, ENCODING };

struct headers {
	const char *values[KNOWN];
	bool twice, fetched;
};

static enum MHD_Result add_header(void *user, enum MHD_ValueKind kind, const char *name,
				  const char *value)
{
	struct headers *headers = user;

	(void)kind;
	headers->fetched |= kolk__word_begins(name, "Sec-Fetch-");
	for (size_t i = 0; i < KNOWN; i++) {
		if (!kolk__word_equal(known[i].name, name))
			continue;
		headers->twice |= headers->values[i] != NULL;
		headers->values[i] = value != NULL ? value : "";
	}
	return MHD_YES;
}

/* Only one header delimits the body, in a form that is supported here. */
static bool is_framed(const struct headers *headers)
{
	const char *encoding = headers->values[ENCODING];

	return encoding == NULL ||
	       (headers->values[LENGTH] == NULL && kolk__word_equal(encoding, "chunked"));
}

const char *kolk__headers_read(struct MHD_Connection *connection, struct kolk__request *request)
{
	struct headers headers = { .twice = false };

	MHD_get_connection_values(connection, MHD_HEADER_KIND, add_header, &headers);
	for (size_t i = 0; i < LENGTH; i++)
		*(const char **)((char *)request + known[i].offset) = headers.values[i];
	request->fetched = headers.fetched;
	request->doubtful = headers.twice || !is_framed(&headers);
	return headers.values[LENGTH];
}

/* ---- arguments */

static bool is_there(const struct kolk__query *query, const char *name)
{
	for (size_t i = 0; i < query->count; i++)
		if (strcmp(query->pairs[i].name, name) == 0)
			return true;
	return false;
}

static enum MHD_Result add_pair(void *user, enum MHD_ValueKind kind, const char *name,
				size_t name_size, const char *value, size_t value_size)
{
	struct kolk__query *query = user;

	(void)kind;
	if (query->count == KOLK__QUERY_MAX || strlen(name) != name_size ||
	    (value != NULL && strlen(value) != value_size) || is_there(query, name)) {
		query->malformed = true;
		return MHD_NO;
	}
	query->pairs[query->count++] = (struct kolk__pair){ name, value };
	return MHD_YES;
}

void kolk__query_read(struct MHD_Connection *connection, struct kolk__query *query,
		      struct kolk__request *request)
{
	query->count = 0;
	query->malformed = false;
	MHD_get_connection_values_n(connection, MHD_GET_ARGUMENT_KIND, add_pair, query);
	request->query = query->pairs;
	request->query_count = query->count;
	request->malformed = query->malformed;
}

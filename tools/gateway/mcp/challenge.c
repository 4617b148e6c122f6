/* SPDX-License-Identifier: Apache-2.0 */
/* challenge.c - WWW-Authenticate of a server, as a client of the route needs it. */
#define _GNU_SOURCE /* open_memstream */
#include "tools/gateway/mcp/challenge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/ascii.h"

/* RFC 9110, section 11.2; the padding follows it. */
#define TOKEN68 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/"

/* A list of challenges that is being written. */
struct writing {
	FILE *out;
	const char *url;
	size_t schemes, params;      /* so far; params: of the last scheme */
	bool named;                  /* that has resource_metadata */
	bool wants;                  /* that is Bearer, and has none yet */
};

static size_t token_size(const char *at)
{
	size_t size = 0;

	while (at[size] > ' ' && at[size] < 0x7f && strchr("\"(),/:;<=>?@[\\]{}", at[size]) == NULL)
		size++;
	return size;
}

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, " \t");
}

/* The end of a param's value; NULL = it is none. Servers write URLs without quotes, too. */
static const char *value_end(const char *at)
{
	const char *begin = at;

	if (*at != '"') {
		at += strcspn(at, " \t,\"");
		return at > begin ? at : NULL;
	}
	for (at++; *at != '"'; at++) {
		if (*at == '\\')
			at++;
		if (*at == '\0')
			return NULL;
	}
	return at + 1;
}

static void put_param(struct writing *w, const char *text, size_t size)
{
	fprintf(w->out, "%s%.*s", w->params++ == 0 ? " " : ", ", (int)size, text);
}

static void put_metadata(struct writing *w)
{
	fprintf(w->out, "%sresource_metadata=\"%s\"", w->params++ == 0 ? " " : ", ", w->url);
	w->named = true;
	w->wants = false;
}

/* A scheme, and a token68 behind it: where it ends. */
static const char *put_scheme(struct writing *w, const char *at, size_t size)
{
	const char *data = skip_blanks(at + size), *end = data + strspn(data, TOKEN68);

	if (w->wants)
		put_metadata(w);
	fprintf(w->out, "%s%.*s", w->schemes++ == 0 ? "" : ", ", (int)size, at);
	w->params = 0;
	w->named = false;
	w->wants = kolk__word_is(at, size, "bearer");
	if (end == data)
		return at + size;
	end += strspn(end, "=");
	if (*skip_blanks(end) != ',' && *skip_blanks(end) != '\0')
		return at + size; /* it is the name of a param */
	put_param(w, data, (size_t)(end - data));
	w->wants = false; /* nothing may follow */
	return end;
}

/* name=value: where it ends; NULL = it is none. */
static const char *put_pair(struct writing *w, const char *at, size_t name_size, const char *value)
{
	const char *end = value_end(value);

	if (w->schemes == 0 || end == NULL || (*skip_blanks(end) != ',' && *skip_blanks(end) != '\0'))
		return NULL;
	if (!kolk__word_is(at, name_size, "resource_metadata"))
		put_param(w, at, (size_t)(end - at));
	else if (!w->named)
		put_metadata(w);
	return end;
}

char *gw_mcp_challenge_name(const char *challenges, const char *url)
{
	struct writing w = { .url = url };
	const char *at = challenges;
	char *text = NULL;
	size_t size;
	bool ok;

	w.out = open_memstream(&text, &size);
	if (w.out == NULL)
		return NULL;
	while (at != NULL && *(at += strspn(at, " \t,")) != '\0') {
		const size_t token = token_size(at);
		const char *sign = skip_blanks(at + token);

		if (token == 0)
			at = NULL;
		else if (*sign == '=')
			at = put_pair(&w, at, token, skip_blanks(sign + 1));
		else
			at = put_scheme(&w, at, token);
	}
	if (w.wants)
		put_metadata(&w);
	ok = fclose(w.out) == 0 && at != NULL && w.schemes > 0;
	if (ok)
		return text;
	free(text);
	return NULL;
}

const char *gw_mcp_challenge(const struct gw_mcp_access *access, const char *own, uint32_t status,
			     char **memory)
{
	if (access->metadata_url == NULL)
		return own;
	if (own == NULL)
		return status == 401 ? access->challenge : NULL;
	free(*memory);
	*memory = gw_mcp_challenge_name(own, access->metadata_url);
	return *memory != NULL ? *memory : own;
}

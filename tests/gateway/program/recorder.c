/* SPDX-License-Identifier: Apache-2.0 */
/* recorder.c - an upstream that keeps what arrived. */
#include "tests/gateway/program/recorder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kit/tap.h"

enum { LINE = 4096, BODY = 512, PATIENCE_MS = 60000 };

struct request {
	struct recorder *recorder;
	struct kit_mock_conn *conn;
	const char *wrong;         /* NULL = nothing */
	char head[LINE];
	char *method, *target, *host, *upgrade;
	uint32_t client;
	bool has_client, has_length, chunked, expects, trailers_accepted;
	uint64_t length;
	char body[BODY];
	size_t body_size;
};

static bool refuse(struct request *request, const char *wrong)
{
	if (request->wrong == NULL)
		request->wrong = wrong;
	return false;
}

/* ---- characters */

static bool is_token(const char *text, size_t size, bool lower)
{
	for (size_t i = 0; i < size; i++) {
		char c = text[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z' && !lower);

		if (!letter && !(c >= '0' && c <= '9') &&
		    (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
			return false;
	}
	return size > 0;
}

static bool is_value(const char *text)
{
	size_t size = strlen(text);

	for (size_t i = 0; i < size; i++)
		if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f)
			return false;
	return size == 0 || (strchr(" \t", text[0]) == NULL && strchr(" \t", text[size - 1]) == NULL);
}

static bool is_target(const char *text)
{
	for (const char *at = text; *at != '\0'; at++)
		if (*at <= ' ' || *at >= 0x7f || *at == '#')
			return false;
	return *text == '/' || strcmp(text, "*") == 0;
}

/* A number as it is written in one way only. */
static bool is_number(const char *text, const char *digits, uint64_t *value)
{
	size_t size = strlen(text);

	if (size == 0 || size > 15 || strspn(text, digits) != size || (text[0] == '0' && size > 1))
		return false;
	*value = strtoull(text, NULL, strlen(digits) == 10 ? 10 : 16);
	return true;
}

/* ---- head */

static bool read_request_line(struct request *request, char *line)
{
	char *target = strchr(line, ' '), *version = target != NULL ? strchr(target + 1, ' ') : NULL;

	if (version == NULL || strcmp(version, " HTTP/1.1") != 0)
		return refuse(request, "a request line");
	*target = *version = '\0';
	request->method = line;
	request->target = target + 1;
	if (!is_token(line, strlen(line), false) || !is_target(request->target))
		return refuse(request, "method or target");
	return true;
}

static bool take_client(struct request *request, const char *value)
{
	unsigned high, low;
	char again[32];

	if (request->has_client || sscanf(value, "127.1.%u.%u", &high, &low) != 2)
		return refuse(request, "x-forwarded-for");
	snprintf(again, sizeof again, "127.1.%u.%u", high, low);
	request->client = high * 256 + low;
	if (strcmp(again, value) != 0 || request->client >= RECORDER_CLIENTS)
		return refuse(request, "x-forwarded-for");
	return request->has_client = true;
}

static bool take_field(struct request *request, const char *name, char *value)
{
	static const char *const never[] = { "keep-alive", "proxy-connection", "http2-settings",
					     "proxy-authorization", "x-real-ip" };

	for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
		if (strcmp(name, never[i]) == 0)
			return refuse(request, never[i]);
	if (strncmp(name, "x-hop", 5) == 0) /* what Connection names in the corpus */
		return refuse(request, "a field of one connection");
	if (strcmp(name, "x-forwarded-for") == 0)
		return take_client(request, value);
	if (strcmp(name, "host") == 0) {
		if (request->host != NULL)
			return refuse(request, "two hosts");
		request->host = value;
	} else if (strcmp(name, "content-length") == 0) {
		if (request->has_length || !is_number(value, "0123456789", &request->length))
			return refuse(request, "content-length");
		request->has_length = true;
	} else if (strcmp(name, "transfer-encoding") == 0) {
		if (request->chunked || strcmp(value, "chunked") != 0)
			return refuse(request, "transfer-encoding");
		request->chunked = true;
	} else if (strcmp(name, "upgrade") == 0) {
		request->upgrade = value;
	} else if (strcmp(name, "te") == 0) {
		request->trailers_accepted = strcmp(value, "trailers") == 0;
	} else if (strcmp(name, "expect") == 0) {
		request->expects = true;
	}
	return true;
}

static bool read_field(struct request *request, char *line)
{
	char *colon = strchr(line, ':');

	if (colon == NULL || !is_token(line, (size_t)(colon - line), true) || colon[1] != ' ' ||
	    !is_value(colon + 2))
		return refuse(request, "a field");
	*colon = '\0';
	return take_field(request, line, colon + 2);
}

static bool read_head(struct request *request)
{
	char *line = request->head, *end;
	size_t size;

	if (!kit_mock_read_until(request->conn, "\r\n\r\n", line, LINE, PATIENCE_MS))
		return false;
	size = strlen(line); /* less than all of it, if there is a NUL in it */
	if (size < 4 || strcmp(line + size - 4, "\r\n\r\n") != 0)
		return refuse(request, "a NUL");
	line[size - 2] = '\0';
	for (bool first = true; (end = strstr(line, "\r\n")) != NULL; first = false, line = end + 2) {
		*end = '\0';
		if (!(first ? read_request_line(request, line) : read_field(request, line)))
			return false;
	}
	if (*line != '\0' || request->host == NULL || !request->has_client ||
	    (request->has_length && request->chunked))
		return refuse(request, "a head");
	return true;
}

/* ---- body */

static bool read_bytes(struct request *request, uint64_t left)
{
	while (left > 0) {
		size_t some, room = BODY - 1 - request->body_size;

		if (room == 0)
			return refuse(request, "a body that is too long");
		some = kit_mock_read_some(request->conn, request->body + request->body_size,
					  left < room ? (size_t)left : room, PATIENCE_MS);
		if (some == 0)
			return false;
		request->body_size += some;
		left -= some;
	}
	return true;
}

static bool read_line(struct request *request, char line[LINE])
{
	if (!kit_mock_read_until(request->conn, "\r\n", line, LINE, PATIENCE_MS))
		return false;
	line[strlen(line) < 2 ? 0 : strlen(line) - 2] = '\0';
	return true;
}

static bool read_chunks(struct request *request)
{
	char line[LINE], *colon;
	uint64_t size;

	for (;;) {
		if (!read_line(request, line))
			return false;
		if (!is_number(line, "0123456789abcdef", &size))
			return refuse(request, "the size of a chunk");
		if (size == 0)
			break;
		if (!read_bytes(request, size) || !read_line(request, line))
			return false;
		if (line[0] != '\0')
			return refuse(request, "what is behind a chunk");
	}
	while (read_line(request, line)) {
		if (line[0] == '\0')
			return true;
		colon = strchr(line, ':');
		if (colon == NULL || !is_token(line, (size_t)(colon - line), true) ||
		    colon[1] != ' ' || !is_value(colon + 2))
			return refuse(request, "a trailer");
	}
	return false;
}

static bool read_body(struct request *request)
{
	if (request->expects && (request->chunked || request->length > 0))
		kit_mock_say(request->conn, "HTTP/1.1 100 Continue\r\n\r\n");
	return request->chunked ? read_chunks(request) : read_bytes(request, request->length);
}

/* ---- what is kept */

static size_t describe(const struct request *request, char text[RECORDER_TEXT])
{
	int size = snprintf(text, RECORDER_TEXT, "%s %s %s|%s%s%s%.*s", request->method,
			    request->target, request->host, request->upgrade != NULL ? "^" : "",
			    request->upgrade != NULL ? request->upgrade : "",
			    request->trailers_accepted ? "+" : "", (int)request->body_size,
			    request->body);

	return size < RECORDER_TEXT ? (size_t)size : RECORDER_TEXT - 1;
}

static void note_head(const struct request *request)
{
	pthread_mutex_lock(&request->recorder->lock);
	request->recorder->client[request->client].underway++;
	pthread_mutex_unlock(&request->recorder->lock);
}

static void keep(const struct request *request, bool whole)
{
	struct recorder *recorder = request->recorder;
	struct recorder_client *client = &recorder->client[request->client];
	char text[RECORDER_TEXT];
	size_t size = describe(request, text), had;

	pthread_mutex_lock(&recorder->lock);
	had = strlen(client->text);
	if (!whole) {
		memcpy(client->part, text, size + 1);
	} else if (had + size + 2 <= sizeof client->text) {
		memcpy(client->text + had, text, size);
		memcpy(client->text + had + size, "\n", 2);
	}
	client->underway--;
	client->whole += whole;
	recorder->whole += whole;
	pthread_mutex_unlock(&recorder->lock);
}

static void note_disorder(const struct request *request)
{
	struct recorder *recorder = request->recorder;

	pthread_mutex_lock(&recorder->lock);
	if (recorder->disorder++ == 0)
		tap_note("not to be expected: %s, of client %u: %s", request->wrong,
			 request->client, request->head);
	pthread_mutex_unlock(&recorder->lock);
}

static void answer(const struct request *request)
{
	char text[LINE];

	snprintf(text, sizeof text,
		 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Asked: 127.1.%u.%u %s %s\r\n\r\n%s",
		 request->client / 256, request->client % 256, request->method, request->target,
		 strcmp(request->method, "HEAD") == 0 ? "" : "ok");
	kit_mock_say(request->conn, text);
}

static void play(struct kit_mock_conn *conn, void *user)
{
	bool whole;

	do {
		struct request request = { .recorder = user, .conn = conn };

		whole = read_head(&request);
		if (whole) {
			note_head(&request);
			whole = read_body(&request);
			keep(&request, whole);
		}
		if (whole)
			answer(&request);
		else if (request.wrong != NULL)
			note_disorder(&request);
	} while (whole);
}

/* ---- the upstream */

bool recorder_open(struct recorder *recorder)
{
	memset(recorder, 0, sizeof *recorder);
	pthread_mutex_init(&recorder->lock, NULL);
	recorder->mock =
		kit_mock_open(&(struct kit_mock_options){ .play = play, .user = recorder });
	return recorder->mock != NULL;
}

void recorder_close(struct recorder *recorder)
{
	kit_mock_close(recorder->mock);
	pthread_mutex_destroy(&recorder->lock);
}

void recorder_clear(struct recorder *recorder, uint32_t first, uint32_t count)
{
	pthread_mutex_lock(&recorder->lock);
	memset(recorder->client + first, 0, count * sizeof recorder->client[0]);
	pthread_mutex_unlock(&recorder->lock);
}

static struct recorder_client look(struct recorder *recorder, uint32_t client)
{
	struct recorder_client kept;

	pthread_mutex_lock(&recorder->lock);
	kept = recorder->client[client];
	pthread_mutex_unlock(&recorder->lock);
	return kept;
}

struct recorder_client recorder_of(struct recorder *recorder, uint32_t client)
{
	struct recorder_client kept;

	CHECK(WITHIN_MS(5000, (kept = look(recorder, client)).underway == 0));
	return kept;
}

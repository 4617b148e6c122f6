/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - one admin server, asked over HTTP on a Unix socket or TCP; and the exit codes that
 * kolk-ctl and kolk-top share.
 *
 * The token goes into a header and nowhere else: not into messages, not onto the command line.
 */
#ifndef KOLK_CTL_CLIENT_H
#define KOLK_CTL_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum outcome {
	DONE = 0,
	REFUSED = 1, /* the server answered, and not with what was asked for */
	USAGE = 2,
	NOBODY = 3   /* no connection, or no answer in time */
};

/* NULL = from the environment, then the default. */
struct client_options {
	const char *socket;     /* path; at most one of socket and url */
	const char *url;        /* "http://127.0.0.1:9180" */
	const char *token_file;
	long timeout_ms;        /* of a whole request; 0 = 60 s */
};

struct call {
	const char *method, *path;
	json_t *body; /* NULL = none */
};

/* A path that gets its parameters one by one. */
struct query {
	char path[4000];
	bool cut; /* one did not fit, and is not in it */
};

struct answer {
	long status;        /* of HTTP; 0 = no answer */
	char *text;         /* the body, with a zero behind it */
	size_t size, capacity;
	json_t *json;       /* NULL = the body is no JSON */
	char problem[1024]; /* what is wrong and what to do, one line; "" = nothing */
};

struct client;

/* Sorts out where the server is and reads the token. NULL: `problem` says why. Dials nothing. */
struct client *client_open(const struct client_options *options, char *problem, size_t capacity);
void client_close(struct client *client);

/* Where it asks: a path or a URL. */
const char *client_where(const struct client *client);

/* Ask once. The answer is filled in any case, to be ended by answer_free. */
enum outcome client_call(struct client *client, const struct call *call, struct answer *answer);
/* Append "name=value" to the path, escaped, behind "?" or "&". */
void client_query(struct client *client, struct query *query, const char *name, const char *value);
void answer_free(struct answer *answer);

#endif

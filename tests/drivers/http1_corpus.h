/* SPDX-License-Identifier: Apache-2.0 */
/* http1_corpus.h - answers of HTTP/1.1, good, odd and hostile, and what becomes of each. */
#ifndef KOLK_TESTS_HTTP1_CORPUS_H
#define KOLK_TESTS_HTTP1_CORPUS_H

#include <stddef.h>

enum http1_verdict {
	KEEP,   /* accepted; the connection serves another request */
	LAST,   /* accepted; the connection is closed */
	UNTIL,  /* accepted when the stream ends; closed */
	MORE,   /* accepted, with unsolicited bytes behind it; closed */
	SWITCH, /* accepted; another protocol from here */
	CUT,    /* not whole: an error when the stream ends */
	REFUSE  /* an error at once */
};

enum http1_request { GET, HEAD, CONNECT, UPGRADE }; /* UPGRADE: to "websocket" */

struct http1_case {
	const char *name;
	enum http1_request request;
	enum http1_verdict verdict;
	const char *body; /* of what was accepted; NULL = none */
	const char *bytes;
	size_t size;
};

extern const struct http1_case http1_cases[];
extern const size_t http1_case_count;

#endif

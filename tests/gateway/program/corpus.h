/* SPDX-License-Identifier: Apache-2.0 */
/* corpus.h - requests for a proxy: those of the HTTP server's own corpus, and what only a proxy can
 * do wrong. Bounds as there: 512 bytes of head, 64 of a target, 8 fields, 64 bytes of a body. */
#ifndef KOLK_TESTS_GATEWAY_CORPUS_H
#define KOLK_TESTS_GATEWAY_CORPUS_H

#include "tests/drivers/http1_requests.h"

#define CORPUS_BOUNDS \
	"  server: {head_bytes_max: 512B, target_bytes_max: 64B, fields_max: 8, body_bytes_max: 64B, " \
	"header_timeout: 1m}\n" /* byte by byte on a slow machine */

/* Where the gateway is more narrow than the server: by the row's name, its status; 0 = it is not. */
int corpus_refused_by_gateway(const struct http1_request_case *row);

/* All rows; count is set. */
const struct http1_request_case *corpus_open(size_t *count);
void corpus_close(const struct http1_request_case *rows);

#endif

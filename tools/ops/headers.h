/* SPDX-License-Identifier: Apache-2.0 */
/* headers.h - what a request says besides its body. */
#ifndef KOLK_OPS_HEADERS_H
#define KOLK_OPS_HEADERS_H

#include <microhttpd.h>

#include "tools/ops/admin.h"

enum { KOLK__QUERY_MAX = 16 };

struct kolk__query {
	struct kolk__pair pairs[KOLK__QUERY_MAX];
	size_t count;
	bool malformed;
};

/* Fills the request's headers; returns Content-Length's, or NULL. */
const char *kolk__headers_read(struct MHD_Connection *connection, struct kolk__request *request);
/* The request borrows the query. */
void kolk__query_read(struct MHD_Connection *connection, struct kolk__query *query,
		      struct kolk__request *request);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* url.h - where the gateway itself sends a request: the parts of a URL. */
#ifndef KOLK_GATEWAY_URL_H
#define KOLK_GATEWAY_URL_H

#include <stdbool.h>

struct gw_url {
	char address[280];   /* "host:port", of a pool */
	char authority[280]; /* as Host says it */
	const char *target;  /* of the text; "/" if it has none */
	bool tls;
};

/* Read it: NULL, or what to write instead. */
const char *gw_url_read(const char *text, struct gw_url *url);

#endif

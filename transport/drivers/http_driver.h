/* SPDX-License-Identifier: Apache-2.0 */
/* http_driver.h - a connection as the driver sees it: its protocol, and that protocol's callbacks.
 * The pool calls them: not always on the client's loop. */
#ifndef KOLK_DRIVERS_HTTP_DRIVER_H
#define KOLK_DRIVERS_HTTP_DRIVER_H

#include <kolk/http.h>
#include <kolk/kolk.h>

#include "core/base/sized.h"
#include "transport/drivers/h1.h"

enum http_protocol { HTTP_UNKNOWN, HTTP_1, HTTP_2 };

struct h2_session;

/* The driver's memory per connection. */
struct http_session {
	enum http_protocol protocol;
	bool tls;
	bool used; /* leased before, to a client */
	char *authority; /* the default of requests that name none */
	const struct kolk_http_driver_options *options; /* the pool's copy, complete */
	struct h1_session h1;
	struct h2_session *h2; /* made by h2_open, freed by h2_close */
};

/* --- h1_driver.c and h2_driver.c: as the callbacks of the same name --- */

void h1_open(struct http_session *session);
enum kolk_err h1_ping(struct http_session *session, struct kolk_exchange *exchange);
enum kolk_err h1_reset(struct http_session *session, struct kolk_exchange *exchange);
enum kolk_err h1_feed(struct http_session *session, struct kolk_exchange *exchange,
		      const void *data, size_t size);
enum kolk_err h1_clean(struct http_session *session);
void h1_close(struct http_session *session);

enum kolk_err h2_open(struct http_session *session, struct kolk_exchange *exchange);
enum kolk_err h2_ping(struct http_session *session, struct kolk_exchange *exchange);
enum kolk_err h2_feed(struct http_session *session, struct kolk_exchange *exchange,
		      const void *data, size_t size);
enum kolk_err h2_on_unsolicited(struct http_session *session, struct kolk_exchange *exchange,
				const void *data, size_t size);
enum kolk_err h2_clean(struct http_session *session);
/* exchange NULL = no GOAWAY can be sent. */
void h2_close(struct http_session *session, struct kolk_exchange *exchange);

/* --- http_options.c, http_driver.c --- */

extern const struct kolk_driver http_driver;

extern const struct kolk_option_table http_option_table;
enum kolk_err http_options_check(const void *options, const struct kolk_pool_options *pool,
				 const char **field);
const char *http_ping_target(const struct kolk_http_driver_options *options);

/* What a connection that ended with this error is counted as. */
enum kolk_reason http_reason(enum kolk_err err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* http_status.c - what a proxy tells its client of an error: the status, what failed; how far it
 * came. */
#include "transport/drivers/http.h"

/* clang-format off */

/* X(err, status, phase): the phase is of an exchange that was on no connection. */
#define HTTP_STATUS_TABLE(X) \
	X(OK,               0, "")        X(PENDING,          0, "") \
	X(E_OPTIONS,      500, "request") X(E_MEMORY,       503, "acquire") \
	X(E_TIMEOUT,      504, "acquire") X(E_EMPTY,        503, "acquire") \
	X(E_QUEUE_FULL,   503, "acquire") X(E_DRAINING,     503, "acquire") \
	X(E_CANCELLED,    499, "acquire") X(E_LEASE_STALE,  500, "request") \
	X(E_LEASE_FOREIGN, 500, "request") X(E_LEASE_BUSY,  500, "request") \
	X(E_FORKED,       500, "acquire") X(E_THREAD,       500, "acquire") \
	X(E_NAME_TAKEN,   500, "acquire") X(E_NOT_FOUND,    500, "acquire") \
	X(E_BACKEND,      500, "acquire") X(E_FILES,        503, "dial") \
	X(E_LIMIT,        503, "acquire") X(E_IN_USE,       500, "acquire") \
	X(E_RESOLVE,      502, "dial")    X(E_CONN_REFUSED, 502, "dial") \
	X(E_UNREACHABLE,  502, "dial")    X(E_PORTS,        503, "dial") \
	X(E_CLOSED,       502, "dial")    X(E_RESET,        502, "dial") \
	X(E_TLS,          502, "tls")     X(E_TLS_VERIFY,   502, "tls") \
	X(E_TLS_TRUNCATED, 502, "tls")    X(E_PROTOCOL,     502, "dial") \
	X(E_AUTH,         502, "dial")    X(E_IO,           502, "dial") \
	X(E_RESOURCE,     502, "dial")    X(E_REVOKED,      503, "request") \
	X(E_UNSUPPORTED,  501, "request") X(E_DIAL_TIMEOUT, 504, "dial") \
	X(E_ROTATED,      503, "acquire") X(E_CIRCUIT,      503, "acquire") \
	X(E_DEADLINE,     503, "acquire") X(E_SPAWN,        502, "dial") \
	X(E_SERVER,       502, "request") X(E_FLOOD,        502, "dial")

/* clang-format on */

struct row {
	uint32_t status;
	const char *phase;
};

/* A switch without a default: an error that has no row does not compile (-Wswitch). */
static struct row row_of(enum kolk_err err)
{
#define ROW(name, status, phase)                                                                   \
	case KOLK_##name:                                                                          \
		return (struct row){ status, phase };
	switch (err) {
		HTTP_STATUS_TABLE(ROW)
	}
#undef ROW
	return (struct row){ 500, "request" };
}

uint32_t kolk_http_status_of(enum kolk_err err)
{
	return row_of(err).status;
}

const char *kolk_http_phase_of(enum kolk_err err, const struct kolk_http_exchange *exchange)
{
	if (err == KOLK_OK || err == KOLK_PENDING || exchange == NULL || !exchange->carried)
		return row_of(err).phase;
	return exchange->answered ? "response" : "request";
}

uint64_t kolk_http_carried_ns(const struct kolk_http_exchange *exchange)
{
	return exchange->carried ? exchange->carried_ns : 0;
}

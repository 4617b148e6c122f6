/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway.h - kolk-gateway, a reverse proxy: the map of the program.
 *
 *   main.c        arguments, signals, the order of start and end
 *   listen.c      the listeners of the configuration
 *   reload.c      another configuration, without losing a request
 *   config/config.c the configuration file: struct gw_config
 *   route.c       the route of a request
 *   path.c        a path as servers read it
 *   tenant.c      the tenant of a request
 *   jwt/jwt.c     signed tokens; jwt/jwks.c, jwt/jwks_url.c: the keys for them
 *   rate.c        limits of requests per second
 *   balance.c     the choice among the members of a balancer
 *   load.c        the state of each member: requests in flight, numbers, health
 *   health.c      active health checks of members
 *   proxy.c       one exchange: request -> upstream request -> answer, bodies streamed both ways
 *   exchange.c    the memory of exchanges
 *   dns/dns.h     members by DNS
 *   upstream.c    the member that a request goes to, and another one if it fails
 *   forward.c     header fields, in both directions
 *   answer.c      answers of the gateway's own
 *   mcp/mcp.h     routes to MCP servers; lines.c: standard input and output
 *   warm/warm.h   connections and sessions made ahead after a start, for what tenants used most
 *   tunnel.c      an exchange that became another protocol (WebSocket)
 *   pipe.c        the bytes of one direction that are in the gateway
 *   trace.c       the trace that a request belongs to; span.c: its spans
 *   export.c      sends spans to a collector; collector.c: which one
 *   access_log.c  a line for each request
 *   log_file.c    the file of these lines, and the thread that writes it
 *   say.c         messages to standard error, which may be stuck
 *   drain.c       what the end of drain_timeout breaks off
 *   count.c       numbers of each route: requests, refusals, bytes, latencies
 *   status/status.c the same for the admin server: JSON, metrics
 *   status/trace.c  those of spans
 *   status/balance.c  those of members of balancers; status/dns.c: of names that resolve to them
 *
 *   client ─► listener ─► kolk_http_server ─► proxy.c ─► kolk_http ─► pool ─► upstream
 *             (an exchange lives on the loop of its client's connection, and uses that loop's
 *             kolk_http: no request crosses a thread)
 */
#ifndef KOLK_GATEWAY_H
#define KOLK_GATEWAY_H

#include <kolk/kolk.h>
#include <kolk/http_server.h>
#include <pthread.h>

#include "tools/gateway/access_log.h"
#include "tools/gateway/drain.h"
#include "tools/gateway/fields.h"
#include "tools/gateway/route.h"

struct gateway;
struct gw_collector;
struct gw_dns;
struct gw_dns_names;
struct gw_exchange;
struct gw_tracer;
struct gw_warm;
struct gw_warm_loop;

/* What the gateway keeps for a loop of the engine. Only that loop's thread uses it. */
struct gw_loop {
	struct gateway *gateway;
	struct kolk_loop *loop;
	uint32_t index;
	bool reloading;              /* pools that drain may be none of the next configuration's */
	struct kolk_http *http;      /* requests to upstreams */
	struct gw_view *view;        /* new exchanges begin with it */
	struct gw_exchange *live;    /* all that did not end */
	struct gw_exchange *unused;  /* exchanges that ended, for the next ones */
	uint32_t unused_count;
	struct gw_exchange *deferred;  /* that wait for the end of the reload */
	struct gw_mcp_loop *mcp;     /* sessions of MCP clients */
	struct gw_warm_loop *warm;   /* NULL = nothing is made ahead */
	struct gw_fields fields;     /* of the head that is being passed on */
	struct gw_log_buffer log;
	struct gw_tracer *tracer;    /* NULL = requests are not traced now */
	struct gw_broken_off broken_off; /* by the end of drain_timeout */
	uint64_t request_ids;
	uint64_t random;             /* state of a generator; not 0 */
};

struct gateway {
	const char *path;            /* of the configuration */
	struct kolk_engine *engine;
	struct kolk_admin *admin;    /* NULL = none */
	struct kolk_http_server *server;
	struct kolk_listener **listeners; /* in the order of the configuration */
	char *fixed;                 /* gw_config_fixed of the configuration that it began with */
	struct gw_access_log *log;   /* NULL = none */
	struct gw_rates *rates;      /* token buckets */
	struct gw_mcp *mcp;          /* pools of MCP servers */
	struct gw_warm *warm;        /* NULL = there is no warm_state_file */
	const char *stdio_route;     /* --stdio: its path; NULL = it listens */
	int stdio_fds[2];
	struct gw_stdio *stdio;      /* NULL = it did not begin */
	struct gw_key_source *keys;  /* of tokens, by URL; NULL = none. W: reload, under reload_lock */
	struct gw_dns *dns;          /* members by DNS */
	struct gw_dns_names *names;  /* of the view in force. Likewise */
	struct gw_collector *collector; /* of spans; NULL = none. Likewise */
	struct gw_tracer *tracers;   /* of loops */
	struct gw_loop *loops;
	uint32_t loop_count;
	uint64_t request_id_base;    /* random: ids of two processes differ */
	struct gw_view *view;        /* in force: W: reload, under reload_lock */
	pthread_mutex_t reload_lock;
};

/* listen.c: all or none. Writes what is wrong to standard error. */
bool gw_listen(struct gateway *gateway);
/* New streams get the certificates that are in the files now. */
enum kolk_err gw_listen_renew(struct gateway *gateway, const struct gw_config *config);
/* Whether both have the same listeners, with and without TLS. */
bool gw_listen_same(const struct gw_config *before, const struct gw_config *after);

/* reload.c: a kolk_reload_fn; user is the gateway. */
enum kolk_err gw_reload(void *user, char *text, size_t capacity);
/* Give the configuration the source of its keys: the gateway's if that is the same, a new one, or NULL
 * if it has none. Not on a loop; the loops are open. */
KOLK_MUST_CHECK enum kolk_err gw_keys_open(struct gateway *gateway, const struct gw_config *config,
					   struct gw_key_source **keys);
/* A gw_dns_changed_fn, likewise: the view in force gets the members that names resolve to now. */
bool gw_members_renew(void *user);
/* Free the pools that reloads removed and that no exchange uses any more. Does nothing during a
 * reload, which frees them itself. */
void gw_reap(struct gateway *gateway);
/* Run a function on every loop, and wait until it has run. Not on a loop. */
typedef void gw_loop_fn(struct gw_loop *loop, void *user);
void gw_each_loop(struct gateway *gateway, gw_loop_fn *run, void *user);

#endif

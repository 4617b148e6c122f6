/* SPDX-License-Identifier: Apache-2.0 */
/* sized.h - what the files of this program share: its engine and pools, memory that ends with a
 * page, and the walks over all structs. */
#ifndef KOLK_TESTS_SIZED_H
#define KOLK_TESTS_SIZED_H

#include <kolk/http.h>
#include <kolk/http_server.h>
#include <kolk/kolk.h>
#include <kolk/listen.h>
#include <kolk/mcp.h>
#include <kolk/mcp_local.h>
#include <kolk/ops/config.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef NEWER
enum { UNKNOWN = 8 }; /* bytes that the library does not know */
#else
enum { UNKNOWN = 0 };
#endif
enum { PAGE = 4096, MORE = 16, UNTOUCHED = 0xa5 };

#define END_OF(type, field) (offsetof(struct type, field) + sizeof(((struct type *)0)->field))

extern struct kolk_engine *engine;
extern struct kolk_http *http;
extern char address[32];  /* of the server */
extern struct kolk_pool *raw, *http_pool, *redis, *postgres, *dead; /* dead: nobody listens */
extern int wrong;         /* of the struct that is looked at */

uint64_t soon(void);
void complain(const char *what, uint32_t size, enum kolk_err err);
/* Memory of so many bytes, the end of which is the end of a page. */
void *edge(uint32_t size);
void edge_free(void *at);

/* server.c: HTTP, Redis and PostgreSQL, as far as one request of each goes. */
bool server_start(void);

/* options.c */
struct kolk_pool_options pool_options(const char *name);
enum kolk_err use_resource(const void *given);
struct kolk_config *config_of(const char *text);
void all_options(void);

/* http_server.c */
struct kolk_http_server_handler http_server_handler(void);
enum kolk_err use_http_server(const void *given);
enum kolk_err use_http_server_handler(const void *given);
enum kolk_err use_http_answer(const void *given);
enum kolk_err tell_http_server_stats(void *into);
/* As request_is_shown. */
void head_is_shown(void);

/* listener.c */
struct kolk_stream_handler stream_handler(void);
enum kolk_err use_listener(const void *given);
enum kolk_err use_stream_handler(const void *given);
enum kolk_err use_listener_tls(const void *given);
enum kolk_err tell_listener_stats(void *into);
enum kolk_err tell_stream_peer(void *into);

/* mcp.c */
struct kolk_mcp_handler mcp_handler(void);
enum kolk_err use_mcp(const void *given);
enum kolk_err use_mcp_client(const void *given);
enum kolk_err use_mcp_request(const void *given);
enum kolk_err use_mcp_handler(const void *given);
struct kolk_mcp_server mcp_server(void);
enum kolk_err use_mcp_server(const void *given);
enum kolk_err tell_mcp_result(void *into);
enum kolk_err tell_mcp_stats(void *into);
enum kolk_err tell_mcp_envelope(void *into);
/* As request_is_shown. */
void message_is_shown(void);

/* results.c */
void unknown_is_named(void); /* not with older headers, where no failure says it */
/* Shown by the library, with the library's size: as much as both know is there. */
void request_is_shown(void);
void all_results(void);

#endif

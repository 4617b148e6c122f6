/* SPDX-License-Identifier: Apache-2.0 */
/* sized.h - what the files of this program share: its engine and pools, memory that ends with a
 * page, and the walks over all structs. */
#ifndef KOLK_TESTS_SIZED_H
#define KOLK_TESTS_SIZED_H

#include <kolk/http.h>
#include <kolk/kolk.h>
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

/* results.c */
void unknown_is_named(void); /* not with older headers, where no failure says it */
/* Shown by the library, with the library's size: as much as both know is there. */
void request_is_shown(void);
void all_results(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* fault.h - what both modes of kolk-fault share: memory that runs out, and two test servers. */
#ifndef KOLK_TESTS_FAULT_H
#define KOLK_TESTS_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include <kolk/engine.h>
#include <kolk/sys/sys.h>

/* ---- memory.c */

extern const struct kolk_sys *fault_sys; /* this machine's table, with an allocator that can fail */
bool fault_memory_open(void);
int64_t fault_live(void);      /* blocks of that allocator that are not given back */

/* The n-th allocation from now on fails, 0 = none: of the table's and of those of the C library and
 * of c-ares; with_calloc: mbedTLS's are counted, too. */
void fault_nth(uint64_t n, bool with_calloc);
uint64_t fault_counted(void);  /* since then */
extern const bool fault_has_calloc; /* whether mbedTLS's memory can be made to fail */

/* One of so many fails, at random, 0 = none: all of the table's, and on threads that are not
 * spared those of the C library, of mbedTLS and of c-ares. */
void fault_random(uint64_t seed, uint32_t one_of);
uint64_t fault_failed(void);   /* so many have */
void fault_spare_me(void);

/* ---- main.c */

extern uint16_t fault_plain, fault_tls; /* ports of two test servers that run in another process */
extern char fault_ca_path[], fault_pem_path[64], fault_key_path[64]; /* of the second one's certificate */
/* A kolk_log_fn that checks what is said about a lack of memory. */
void fault_on_log(void *user, enum kolk_log_level level, const char *subject, const char *text);

/* ---- listener.c */

/* On loopback, with the certificate, which is set twice. */
enum kolk_err fault_listen(struct kolk_engine *engine, uint16_t *port);

/* ---- random.c: its exit status */
int fault_random_run(uint32_t backend, uint64_t seconds, uint64_t seed);

#endif

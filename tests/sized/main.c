/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - every struct that begins with its size, given to a library that was compiled with other
 * headers. tests/sized/run compiles this with three sets: OLDER (structs without their last field),
 * NEWER (with one more), and these; the library stays.
 *
 * Structs lie at the end of a page with nothing behind it: a byte too many, read or written, is a
 * crash.
 */
#include "tests/sized/sized.h"

#include <kolk/postgres.h>
#include <kolk/redis.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

struct kolk_engine *engine;
struct kolk_http *http;
char address[32];
struct kolk_pool *raw, *http_pool, *redis, *postgres, *dead;
int wrong;

uint64_t soon(void)
{
	return kolk_in_ms(5000);
}

void complain(const char *what, uint32_t size, enum kolk_err err)
{
	printf("# %s, size %u: %s\n", what, size, kolk_err_name(err));
	wrong++;
}

void *edge(uint32_t size)
{
	char *memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED || mprotect(memory + PAGE, PAGE, PROT_NONE) != 0)
		exit(2);
	return memory + PAGE - size;
}

void edge_free(void *at)
{
	munmap((void *)((uintptr_t)at & ~(uintptr_t)(PAGE - 1)), 2 * PAGE);
}

static bool pools_open(void)
{
	static struct kolk_postgres_options login = KOLK_INIT(kolk_postgres_options);
	struct kolk_pool_options o[5] = { pool_options("raw"), pool_options("http"),
					  pool_options("redis"), pool_options("postgres"),
					  pool_options("dead") };
	struct kolk_pool **pools[] = { &raw, &http_pool, &redis, &postgres, &dead };
	struct kolk_lease lease;

	login.user = "u";
	o[1].driver = kolk_driver_http();
	o[2].driver = kolk_driver_redis();
	o[3].driver = kolk_driver_postgres();
	o[3].driver_user = &login;
	o[4].address = "127.0.0.1:1";
	for (int i = 0; i < 5; i++)
		if (kolk_pool_add(engine, &o[i], pools[i]) != KOLK_OK)
			return false;
	return kolk_acquire(kolk_pool_key(dead), soon(), &lease) == KOLK_E_CONN_REFUSED;
}

int main(void)
{
	struct kolk_engine_options o = KOLK_INIT(kolk_engine_options);

	o.loops = 1;
	o.resources_max = 10;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!server_start() || kolk_engine_create(&o, &engine) != KOLK_OK || !pools_open() ||
	    kolk_http_open(kolk_engine_loop(engine, 0), NULL, &http) != KOLK_OK) {
		puts("not ok the world is not there");
		return 1;
	}
	all_options();
	all_results();
	request_is_shown();
	head_is_shown();
	message_is_shown();
#ifndef OLDER
	unknown_is_named();
#endif
	(void)kolk_http_close(http, NULL, NULL);
	return kolk_engine_destroy(engine) != KOLK_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* admin_bench.h - an engine with two pools, an admin server of it without a socket, and its last
 * answer. */
#ifndef KOLK_TESTS_OPS_ADMIN_BENCH_H
#define KOLK_TESTS_OPS_ADMIN_BENCH_H

#include "tests/kit/origin.h"
#include "tools/ops/admin.h"

#define TOKEN "a token of thirty-two characters"
#define CREDENTIAL "credential-that-nobody-may-see"

struct admin_bench {
	struct kolk_engine *engine;
	struct kit_origin *origin;
	struct kolk_pool *pool, *dead;
	struct kolk_key *alice, *odd;
	struct kolk__admin_server server;
	enum kolk_err reload_err;
	char log[4096];
	/* the last answer */
	struct kolk__response response;
	json_t *json;
};

/* cmocka fixtures: *state is a struct admin_bench. No answer and no log line of it may have had the
 * token or the credential in it. */
int admin_bench_open(void **state);
int admin_bench_close(void **state);
struct kolk_key *admin_key(struct kolk_pool *pool, const char *tenant);

/* Ask; the status. What is no page and no metrics must be JSON, and an error must say so. */
unsigned admin_ask(struct admin_bench *bench, const struct kolk__request *request);
unsigned admin_get(struct admin_bench *bench, const char *path);
unsigned admin_send(struct admin_bench *bench, const char *method, const char *path,
		    const char *body);
unsigned admin_post(struct admin_bench *bench, const char *path, const char *body);
/* GET of the status with one parameter. */
unsigned admin_status(struct admin_bench *bench, const char *name, const char *value);

/* In the answer: a text (or "(none)"), a number, the error's code, the alert with this part. */
const char *admin_text(const json_t *object, const char *name);
json_int_t admin_number(const json_t *object, const char *name);
const char *admin_code(const struct admin_bench *bench);
const json_t *admin_alert(const struct admin_bench *bench, const char *subject, const char *part);

/* Lease once; so many at once, and release them. */
struct kolk_lease admin_take(struct kolk_key *key);
void admin_fill(struct kolk_key *key, int count);

/* A test with its own engine. */
#define TEST(name) cmocka_unit_test_setup_teardown(name, admin_bench_open, admin_bench_close)

#endif

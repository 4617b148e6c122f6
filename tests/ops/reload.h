/* SPDX-License-Identifier: Apache-2.0 */
/* reload.h - an engine by a configuration of two upstreams, and the next configuration for it. */
#ifndef KOLK_TESTS_OPS_RELOAD_H
#define KOLK_TESTS_OPS_RELOAD_H

#include <unistd.h>

#include <kolk/kolk.h>
#include <kolk/ops/config.h>

#include "tests/kit/origin.h"

/* Two upstreams, and an engine by the text that it was opened with. */
struct fixture {
	struct kit_origin *a, *b;
	struct kolk_engine *engine;
	struct kolk_config *config; /* in force */
	struct kolk_config_error error;
	char message[600];
};

/* "%A" and "%B" in a text are the addresses of the upstreams. */
struct kolk_config *parse(struct fixture *fixture, const char *text);
void open_by(struct fixture *fixture, const char *text);
/* kolk_check finds nothing. */
void fixture_close(struct fixture *fixture);
/* Reload; on success the new text is in force. The message is in fixture->message. */
enum kolk_err reload(struct fixture *fixture, const char *text);
void must_reload(struct fixture *fixture, const char *text);
void expect_refused(struct fixture *fixture, const char *text, enum kolk_err err,
		    const char *message);
struct kolk_key *key_of(struct fixture *fixture, const char *pool, const char *tenant);
/* A line and its echo, on a lease, or on one of its own. */
enum kolk_err exchange(const struct kolk_lease *lease);
enum kolk_err request(struct kolk_key *key);
struct kolk_stats stats_of(struct fixture *fixture, const char *pool);
struct kolk_pool_info info_of(struct fixture *fixture, const char *pool);

/* Wait for what other threads do; 5 s at most. */
#define EVENTUALLY(condition)                                                    \
	do {                                                                     \
		for (int i_ = 0; i_ < 5000 && !(condition); i_++)                \
			usleep(1000);                                            \
		assert_true(condition);                                          \
	} while (0)

#endif

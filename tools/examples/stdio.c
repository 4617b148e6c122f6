/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stdio.c - tools that run as child processes and answer line by line, pooled for two tenants.
 *
 * Eight threads share four children per tenant. No child serves both tenants, none sees more
 * of this process than its two environment variables, and all have ended when the engine has.
 */
#include <kolk/kolk.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { WORKERS = 8, REQUESTS = 500, LINE = 64 };

/* One line there, one line back. */
static enum kolk_err ask(const struct kolk_lease *lease, const char *question, char answer[LINE],
			 uint64_t deadline_ns)
{
	enum kolk_err err = kolk_send_all(lease, question, strlen(question), deadline_ns);
	size_t size = 0, got;

	while (err == KOLK_OK && (size == 0 || answer[size - 1] != '\n')) {
		if (size == LINE)
			return KOLK_E_PROTOCOL; /* a line without end */
		err = kolk_recv(lease, answer + size, LINE - size, deadline_ns, &got);
		size += err == KOLK_OK ? got : 0;
	}
	return err;
}

static enum kolk_err request(struct kolk_key *key, int number)
{
	uint64_t deadline_ns = kolk_in_ms(5000);
	char question[LINE], answer[LINE];
	struct kolk_lease lease;
	enum kolk_err err = kolk_acquire(key, deadline_ns, &lease);
	int size;

	if (err != KOLK_OK)
		return err;
	size = snprintf(question, sizeof question, "what is %d?\n", number);
	err = ask(&lease, question, answer, deadline_ns);
	if (err == KOLK_OK && memcmp(answer, "WHAT", 4) != 0)
		err = KOLK_E_PROTOCOL;
	if (err == KOLK_OK && memcmp(answer + 4, question + 4, (size_t)size - 4) != 0)
		err = KOLK_E_PROTOCOL;
	/* The raw driver knows no protocol: what went wrong half-way is ours to say. */
	if (err == KOLK_OK)
		kolk_release(&lease);
	else
		kolk_discard(&lease);
	return err;
}

static void *work(void *arg)
{
	struct kolk_key *key = arg;

	for (int i = 0; i < REQUESTS; i++) {
		enum kolk_err err = request(key, i);

		if (err != KOLK_OK) {
			fprintf(stderr, "%s\n", kolk_err_text(err));
			return (void *)1;
		}
	}
	return NULL;
}

/* What children write to stderr, and how they end, is told here. */
static void on_log(void *user, enum kolk_log_level level, const char *subject, const char *text)
{
	(void)user;
	(void)level;
	fprintf(stderr, "%s: %s\n", subject, text);
}

int main(void)
{
	/* sed -u writes each line at once: a child must not keep its answers in a buffer. */
	static const char *const command[] = { "/bin/sed", "-u", "s/what/WHAT/", NULL };
	static const char *const environment[] = { "LANG=C.UTF-8", NULL };
	static const char *const inherit[] = { "PATH", NULL };
	static const char *const tenants[] = { "alice", "bob" };
	struct kolk_engine_options engine_options = KOLK_INIT(kolk_engine_options);
	struct kolk_child_options child = KOLK_INIT(kolk_child_options);
	struct kolk_pool_options options = KOLK_INIT(kolk_pool_options);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	struct kolk_key *keys[2];
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	pthread_t worker[WORKERS];
	void *failed = NULL, *result;

	engine_options.on_log = on_log;
	engine_options.log_level = KOLK_LOG_WARN;
	child.command = command;
	child.environment = environment;
	child.inherit = inherit;
	child.directory = "/";
	options.name = "tools";
	options.child = &child;
	options.connections_max = 4;
	if (kolk_engine_create(&engine_options, &engine) != KOLK_OK ||
	    kolk_pool_add(engine, &options, &pool) != KOLK_OK)
		return 1;
	for (int i = 0; i < 2; i++) {
		struct kolk_key_options who = KOLK_INIT(kolk_key_options);

		who.tenant = tenants[i];
		if (kolk_key_open(pool, &who, &keys[i]) != KOLK_OK)
			return 1;
	}

	for (int i = 0; i < WORKERS; i++)
		pthread_create(&worker[i], NULL, work, keys[i % 2]);
	for (int i = 0; i < WORKERS; i++) {
		pthread_join(worker[i], &result);
		failed = result != NULL ? result : failed;
	}

	if (kolk_pool_stats(pool, &stats) == KOLK_OK)
		printf("%d requests, %llu children started\n", WORKERS * REQUESTS,
		       (unsigned long long)stats.created);
	for (int i = 0; i < 2; i++)
		kolk_key_close(keys[i]);
	kolk_engine_destroy(engine); /* each child's stdin ends; when it returns, all are reaped */
	return failed != NULL;
}

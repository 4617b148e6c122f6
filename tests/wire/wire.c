/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/wire/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tests/kit/host.h"

uint64_t wire_trials = 50000, wire_churn = 20000, wire_stride = 1;
uint64_t wire_children = 10000, wire_nonces = 200000;
uint32_t wire_backend;
struct wire_certs wire_certs;

bool wire_certs_make(void)
{
	struct wire_certs *c = &wire_certs;
	const struct kit_cert_spec authority = { .subject = "kolk test authority", .authority = true };
	const struct kit_cert_spec good = { .subject = "good", .dns = "localhost",
					    .ip = "127.0.0.1" };
	const struct kit_cert_spec expired = { .subject = "expired", .dns = "localhost",
					       .ip = "127.0.0.1", .from = "20200101000000",
					       .to = "20210101000000" };
	const struct kit_cert_spec other = { .subject = "other", .dns = "other.example" };
	struct kit_cert unknown;
	int fd;

	snprintf(c->ca_path, sizeof c->ca_path, "/tmp/kolk-wire-XXXXXX");
	fd = mkstemp(c->ca_path);
	if (fd < 0)
		return false;
	close(fd);
	return kit_cert_make(&authority, NULL, &c->authority) &&
	       kit_cert_make(&authority, NULL, &unknown) &&
	       kit_cert_make(&good, &c->authority, &c->good) &&
	       kit_cert_make(&expired, &c->authority, &c->expired) &&
	       kit_cert_make(&other, &c->authority, &c->other_name) &&
	       kit_cert_make(&good, &unknown, &c->unknown_issuer) &&
	       kit_cert_make(&good, NULL, &c->self_signed) &&
	       kit_file_write(c->ca_path, c->authority.pem);
}

void wire_certs_remove(void)
{
	unlink(wire_certs.ca_path);
}

static void on_event(void *user, const struct kolk_event *event)
{
	struct wire *wire = user;

	kolk__add_relaxed(&wire->closed_events, event->kind == KOLK_EVENT_CLOSED);
}

bool wire_engine(struct wire *wire, const struct kolk_engine_options *options)
{
	struct kolk_engine_options o = KOLK_INIT(kolk_engine_options);

	if (options != NULL)
		o = *options;
	o.backend = wire_backend;
	o.event_mask |= KOLK_EVENT_BIT(KOLK_EVENT_CLOSED);
	o.on_event = on_event;
	o.event_user = wire;
	return CHECK_ERR(kolk_engine_create(&o, &wire->engine), KOLK_OK);
}

bool wire_origin(struct wire *wire, const struct kit_origin_options *options)
{
	wire->origin = kit_origin_open(options != NULL ? options : &(struct kit_origin_options){ 0 });
	if (!CHECK(wire->origin != NULL))
		return false;
	snprintf(wire->address, sizeof wire->address, "127.0.0.1:%u",
		 kit_origin_port(wire->origin));
	return true;
}

bool wire_pool(struct wire *wire, const struct kolk_pool_options *options)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);

	if (options != NULL)
		o = *options;
	if (o.name == NULL)
		o.name = "wire";
	if (o.address == NULL && o.resource == NULL && o.child == NULL)
		o.address = wire->address;
	o.failure = &failure;
	if (!CHECK_ERR(kolk_pool_add(wire->engine, &o, &wire->pool), KOLK_OK)) {
		tap_note("field %s", failure.field != NULL ? failure.field : "none");
		return false;
	}
	wire->key = kolk_pool_key(wire->pool);
	return true;
}

bool wire_may_fork(void)
{
#ifdef __SANITIZE_THREAD__
	tap_skip("ThreadSanitizer starts no threads in a fork's child");
	return false;
#else
	return true;
#endif
}

bool wire_has_time(void)
{
	if (wire_stride > 8)
		tap_skip("it waits for seconds, and --stride asks for little");
	return wire_stride <= 8;
}

bool wire_open(struct wire *wire)
{
	return wire_origin(wire, NULL) && wire_engine(wire, NULL) && wire_pool(wire, NULL);
}

void wire_close(struct wire *wire)
{
	const char *law = NULL;

	if (wire->engine != NULL) {
		CHECK_ERR(kolk_check(wire->engine, &law), KOLK_OK);
		if (law != NULL)
			tap_note("broken: %s", law);
		CHECK_ERR(kolk_engine_destroy(wire->engine), KOLK_OK);
	}
	kit_origin_close(wire->origin);
	wire->engine = NULL;
	wire->origin = NULL;
}

enum kolk_err wire_exchange(const struct kolk_lease *lease, const char *line)
{
	size_t size = strlen(line), got = 0, part = 0;
	char answer[4096]; /* longer than any line */
	enum kolk_err err = kolk_send_all(lease, line, size, kolk_in_ms(5000));

	while (err == KOLK_OK && got < size) {
		err = kolk_recv(lease, answer + got, size - got, kolk_in_ms(5000), &part);
		got += part;
	}
	if (err != KOLK_OK)
		return err;
	return memcmp(answer, line, size) == 0 ? KOLK_OK : KOLK_E_PROTOCOL;
}

/* As a gateway would: E_CLOSED before anything was sent is tried again. */
enum kolk_err wire_request(struct kolk_key *key, const char *line)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
	struct kolk_lease lease;
	enum kolk_err err = KOLK_E_CLOSED;

	for (int i = 0; i < 10 && err == KOLK_E_CLOSED; i++) {
		err = kolk_acquire(key, kolk_in_ms(5000), &lease);
		if (err != KOLK_OK)
			return err;
		err = wire_exchange(&lease, line);
		CHECK_ERR(kolk_lease_info(&lease, &info), KOLK_OK);
		CHECK_ERR(err == KOLK_OK ? kolk_release(&lease) : kolk_discard(&lease), KOLK_OK);
		if (info.written)
			break;
	}
	return err;
}

bool wire_holds_in_three(bool (*holds)(void))
{
	for (int i = 0; i < 3; i++)
		if (holds())
			return true;
	return false;
}

/* Report why connections ended: for a test that fails. */
void wire_report(struct kolk_pool *pool)
{
	struct kolk_stats stats = wire_stats(pool);

	for (int i = 1; i < KOLK_REASONS; i++)
		if (stats.destroyed[i] != 0)
			tap_note("%llu %s", (unsigned long long)stats.destroyed[i],
				 kolk_reason_name((enum kolk_reason)i));
}

struct kolk_stats wire_stats(struct kolk_pool *pool)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	CHECK_ERR(kolk_pool_stats(pool, &stats), KOLK_OK);
	return stats;
}

int main(int argc, char **argv)
{
	const char *names[] = { "auto", "io_uring", "epoll" };
	const char *only = NULL, *refused;
	char suite[32];
	int status;

	for (int i = 1; i < argc; i++) {
		uint64_t *number = strcmp(argv[i], "--trials") == 0 ? &wire_trials :
				   strcmp(argv[i], "--churn") == 0  ? &wire_churn :
				   strcmp(argv[i], "--children") == 0 ? &wire_children :
				   strcmp(argv[i], "--nonces") == 0 ? &wire_nonces :
				   strcmp(argv[i], "--stride") == 0 ? &wire_stride : NULL;
		uint32_t backend = 3;

		for (uint32_t n = 0; n < 3; n++)
			if (strcmp(argv[i], names[n]) == 0)
				backend = n;
		if (strcmp(argv[i], "--hosted") == 0)
			kit_hosted = true;
		else if (number != NULL && i + 1 < argc)
			*number = strtoull(argv[++i], NULL, 10);
		else if (backend < 3)
			wire_backend = backend;
		else
			only = argv[i];
	}
	if (!wire_certs_make()) {
		printf("Bail out! no certificates\n");
		return 1;
	}
	snprintf(suite, sizeof suite, "wire %s", names[wire_backend]);
	refused = wire_backend == KOLK_BACKEND_IO_URING ? tap_io_uring_refused() : NULL;
	if (refused != NULL) {
		wire_certs_remove();
		return tap_skip_all(suite, refused);
	}
	status = tap_suites_run(suite, only);
	wire_certs_remove();
	return status;
}

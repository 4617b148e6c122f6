/* SPDX-License-Identifier: Apache-2.0 */
/* client_postgres.c - SELECT of a nonce, logged in by SCRAM, plain and over TLS. Where requests
 * are to be counted, INSERT does it. */
#include <kolk/postgres.h>

#include <stdlib.h>
#include <string.h>

#include "tests/peers/clients.h"

static const struct kolk_postgres_options postgres_options = { .size = sizeof postgres_options,
							       .user = KIT_POSTGRES_USER,
							       .password = KIT_POSTGRES_SECRET,
							       .database = "postgres",
							       .scram_required = 1 };

struct postgres_slot {
	struct kolk_postgres_call *call;
	char text[CLIENT_NONCE];
	struct kolk_postgres_value value;
	struct kolk_postgres_statement statement;
	struct kolk_postgres_request request;
};

static bool serve(struct client_fixture *fixture)
{
	fixture->peer = kit_postgres_start(&(struct kit_postgres_options){
		.tls = true, .sql = "create unlogged table seen (nonce text)" });
	return fixture->peer != NULL;
}

static const char *address(const struct client_fixture *fixture)
{
	return fixture->peer->address;
}

static enum kolk_err pool(struct client_fixture *fixture, struct kolk_pool_options *options)
{
	options->driver = kolk_driver_postgres();
	options->driver_user = (void *)(uintptr_t)&postgres_options;
	return kolk_postgres_pool_add(fixture->engine, options, &fixture->pool);
}

static enum kolk_err pool_tls(struct client_fixture *fixture, struct kolk_pool_options *options)
{
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);

	tls.ca_file = fixture->peer->ca_file;
	tls.server_name = "localhost";
	options->tls = &tls;
	return pool(fixture, options);
}

/* Everything of a request lies in its slot: it is borrowed until the end. */
static void prepare(struct postgres_slot *slot, const struct client_fixture *fixture,
		    uint64_t nonce)
{
	nonce_print(nonce, slot->text);
	slot->value = (struct kolk_postgres_value){ .data = slot->text,
						    .size = (uint32_t)strlen(slot->text) };
	slot->statement = (struct kolk_postgres_statement){
		.sql = fixture->counts ? "insert into seen values ($1) returning nonce"
				     : "select $1::text",
		.values = &slot->value,
		.value_count = 1,
		.flags = KOLK_POSTGRES_PREPARE | KOLK_POSTGRES_HARMLESS,
	};
	slot->request = (struct kolk_postgres_request)KOLK_INIT(kolk_postgres_request);
	slot->request.count = 1;
	slot->request.statements = &slot->statement;
}

/* The nonce in a result, which is freed. */
static uint64_t nonce_of(struct kolk_postgres_result *result)
{
	const char *text = result != NULL ? kolk_postgres_result_text(result, 0, 0) : "";
	uint64_t nonce = nonce_parse(text, strlen(text));

	kolk_postgres_result_free(result);
	return nonce;
}

static void done(void *user, enum kolk_err err, struct kolk_postgres_result *result)
{
	kit_nonce_done(user, err, nonce_of(result));
}

static enum kolk_err start(struct kit_nonce_slot *slot)
{
	const struct client_fixture *fixture = slot->options->user;
	struct postgres_slot *postgres = slot->memory;

	prepare(postgres, fixture, slot->nonce);
	return kolk_postgres_query_async(slot->loop, fixture->key, &postgres->request,
					 client_deadline(slot), done, slot, &postgres->call);
}

static void cancel(struct kit_nonce_slot *slot)
{
	kolk_postgres_call_cancel(((struct postgres_slot *)slot->memory)->call);
}

static enum kolk_err call(void *user, uint64_t nonce, uint64_t deadline_ns, uint64_t *reply)
{
	const struct client_fixture *fixture = user;
	struct kolk_postgres_result *result = NULL;
	struct postgres_slot slot;
	enum kolk_err err;

	prepare(&slot, fixture, nonce);
	err = kolk_postgres_query(fixture->key, &slot.request, deadline_ns, &result);
	*reply = nonce_of(result);
	return err;
}

static bool executed(struct client_fixture *fixture, uint64_t *once, uint64_t *more)
{
	char text[64], *rest;

	if (!kit_postgres_sql(
		    fixture->peer,
		    "select count(*) filter (where n = 1), count(*) filter (where n > 1) "
		    "from (select count(*) n from seen group by nonce) counted",
		    text, sizeof text))
		return false;
	*once = strtoull(text, &rest, 10);
	*more = *rest == '|' ? strtoull(rest + 1, NULL, 10) : 1;
	return true;
}

/* Nonce 1, as the server answers. */
static const char junk[] = "D\0\0\0\014\0\1\0\0\0\2n1C\0\0\0\015SELECT 1\0Z\0\0\0\5I";

static const struct client client_postgres = {
	.name = "postgres",
	.serve = serve,
	.address = address,
	.pool = pool,
	.executed = executed,
	.junk = junk,
	.junk_size = sizeof junk - 1,
	.slot_bytes = sizeof(struct postgres_slot),
	.start = start,
	.cancel = cancel,
	.call = call,
};
PEERS_CLIENT(postgres);
PEERS_IDLE(postgres);

static const struct client client_postgres_tls = {
	.name = "postgres_tls",
	.serve = serve,
	.address = address,
	.pool = pool_tls,
	.calm = 20000,
	.executed = executed,
	.slot_bytes = sizeof(struct postgres_slot),
	.start = start,
	.cancel = cancel,
	.call = call,
};
PEERS_CLIENT(postgres_tls);

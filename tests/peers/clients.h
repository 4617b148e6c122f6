/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clients.h - one request with a nonce, in each protocol: what nonce.h needs, so that a test of cancels
 * or faults is written once for all drivers.
 *
 * A file has a const struct client client_redis and says PEERS_CLIENT(redis): kolk-peers runs the tests
 * of faults.c with it.
 */
#ifndef KOLK_TESTS_CLIENTS_H
#define KOLK_TESTS_CLIENTS_H

#include <kolk/kolk.h>

#include "tests/kit/nonce.h"
#include "tests/kit/relay.h"
#include "tests/peers/peers.h"

enum { CLIENT_LOOPS = 2 };

/* A server, perhaps a bad network, an engine with a pool. */
struct client_fixture {
	const struct client *client;
	struct kit_peer *peer;    /* NULL: server */
	void *server;             /* of a client that needs no real one */
	struct kit_relay *relay;  /* NULL = a good network */
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_key *key;
	void *loops[CLIENT_LOOPS]; /* the client's, one per loop */
	bool counts; /* requests leave a trace at the server, see client.executed */
	bool hasty; /* time-outs are short, so that a test sees them */
	int descriptors, children; /* that the test had when the server was there */
};

struct client {
	const char *name;
	/* Start the server; false = skipped or failed. */
	bool (*serve)(struct client_fixture *fixture);
	const char *(*address)(const struct client_fixture *fixture);
	/* NULL = kolk_pool_add. options have name and address. */
	enum kolk_err (*pool)(struct client_fixture *fixture, struct kolk_pool_options *options);
	/* After the engine is there, before it goes; NULL = nothing. */
	bool (*open)(struct client_fixture *fixture);
	void (*close)(struct client_fixture *fixture);
	uint64_t calm; /* requests on a good network; 0 = 200 000 */
	/* With fixture.counts: how many requests the server executed, and how many of them more
	 * than once. */
	bool (*executed)(struct client_fixture *fixture, uint64_t *once, uint64_t *more);
	/* An answer with nonce 1 as the server would say it, as an unsolicited one; in plain
	 * text. */
	const char *junk;
	size_t junk_size;
	size_t slot_bytes;
	enum kolk_err (*start)(struct kit_nonce_slot *slot); /* options->user: struct client_fixture */
	void (*cancel)(struct kit_nonce_slot *slot);
	enum kolk_err (*call)(void *user, uint64_t nonce, uint64_t deadline_ns, uint64_t *reply);
};

/* The tests of faults.c for one client. */
void faults_calm(const struct client *client);
void faults_slow(const struct client *client);
void faults_pause(const struct client *client);
void faults_breaks(const struct client *client);
void faults_black_holes(const struct client *client);
void faults_restarts(const struct client *client);
void faults_once(const struct client *client);
void faults_idle_close(const struct client *client);
/* Of clients with junk. */
void faults_junk(const struct client *client);

#define PEERS_CLIENT(protocol)                                                                 \
	static void protocol##_calm(void)                                                      \
	{                                                                                      \
		faults_calm(&client_##protocol);                                               \
	}                                                                                      \
	static void protocol##_pause(void)                                                     \
	{                                                                                      \
		faults_pause(&client_##protocol);                                              \
	}                                                                                      \
	static void protocol##_slow(void)                                                      \
	{                                                                                      \
		faults_slow(&client_##protocol);                                               \
	}                                                                                      \
	static void protocol##_breaks(void)                                                    \
	{                                                                                      \
		faults_breaks(&client_##protocol);                                             \
	}                                                                                      \
	static void protocol##_black_holes(void)                                               \
	{                                                                                      \
		faults_black_holes(&client_##protocol);                                        \
	}                                                                                      \
	static void protocol##_restarts(void)                                                  \
	{                                                                                      \
		faults_restarts(&client_##protocol);                                           \
	}                                                                                      \
	static void protocol##_once(void)                                                      \
	{                                                                                      \
		faults_once(&client_##protocol);                                               \
	}                                                                                      \
	static const struct tap_test protocol##_faults[] = {                                   \
		{ "nonces, 30 % cancelled, on a good network", protocol##_calm },              \
		{ "nonces, 30 % cancelled, the server pauses", protocol##_pause },             \
		{ "nonces, 30 % cancelled, delays and single bytes", protocol##_slow },        \
		{ "nonces, 30 % cancelled, connections cut and reset", protocol##_breaks },    \
		{ "black holes: every request ends in time", protocol##_black_holes },         \
		{ "the server is killed and comes back", protocol##_restarts },                \
		{ "nothing is executed twice when connections break", protocol##_once },       \
	};                                                                                     \
	TAP_TESTS(faults_##protocol, protocol##_faults)

/* Of those in plain text, whose connections a relay can speak on. */
#define PEERS_IDLE(protocol)                                                                   \
	static void protocol##_idle_close(void)                                                \
	{                                                                                      \
		faults_idle_close(&client_##protocol);                                         \
	}                                                                                      \
	static void protocol##_junk(void)                                                      \
	{                                                                                      \
		faults_junk(&client_##protocol);                                               \
	}                                                                                      \
	static const struct tap_test protocol##_idle[] = {                                     \
		{ "idle connections end when they are used", protocol##_idle_close },          \
		{ "an unsolicited answer is given to no request", protocol##_junk },            \
	};                                                                                     \
	TAP_TESTS(idle_##protocol, protocol##_idle)

/* faults NULL = no relay. fixture->counts and hasty are read, the rest is overwritten. */
bool client_fixture_open(struct client_fixture *fixture, const struct client *client,
		  const struct kit_relay_faults *faults, struct kolk_pool_options *options);
/* Count the lines of a file in the server's directory: those that are there once, and more. */
bool client_fixture_lines(const struct client_fixture *fixture, const char *name,
			  uint64_t *once, uint64_t *more);
/* Drains: true when everything ended in time, every law of kolk_check holds, and neither descriptors
 * nor children are left. */
bool client_fixture_close(struct client_fixture *fixture);

/* Until when a request on a loop may take. */
uint64_t client_deadline(const struct kit_nonce_slot *slot);

/* A nonce as it goes over the wire, and back; 0 = it is none. */
enum { CLIENT_NONCE = 24 };
void nonce_print(uint64_t nonce, char text[CLIENT_NONCE]);
uint64_t nonce_parse(const void *text, size_t size);

#endif

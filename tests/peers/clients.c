/* SPDX-License-Identifier: Apache-2.0 */
/* clients.c - the fixture of a client: server, network, engine, pool. */
#include "tests/peers/clients.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/kit/peer.h"

static int descriptors(void)
{
	DIR *fds = opendir("/proc/self/fd");
	int count = 0;

	while (fds != NULL && readdir(fds) != NULL)
		count++;
	if (fds != NULL)
		closedir(fds);
	return count;
}

static int children(void)
{
	char path[64];
	FILE *list;
	int pid, count = 0;

	snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
	list = fopen(path, "re");
	while (list != NULL && fscanf(list, "%d", &pid) == 1)
		count++;
	if (list != NULL)
		fclose(list);
	return count;
}

static bool pool_open(struct client_fixture *fixture, struct kolk_pool_options *options)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	enum kolk_err err;

	options->name = "peer";
	options->failure = &failure;
	options->address = fixture->relay != NULL ? kit_relay_address(fixture->relay)
						: fixture->client->address(fixture);
	err = fixture->client->pool != NULL ? fixture->client->pool(fixture, options)
					  : kolk_pool_add(fixture->engine, options, &fixture->pool);
	if (!CHECK_ERR(err, KOLK_OK)) {
		tap_note("field %s", failure.field != NULL ? failure.field : "none");
		return false;
	}
	fixture->key = kolk_pool_key(fixture->pool);
	return true;
}

bool client_fixture_open(struct client_fixture *fixture, const struct client *client,
		  const struct kit_relay_faults *faults, struct kolk_pool_options *options)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kit_relay_options relay = { .seed = peers_seed() };

	*fixture = (struct client_fixture){ .client = client, .counts = fixture->counts,
					    .hasty = fixture->hasty };
	engine.loops = CLIENT_LOOPS;
	engine.tenant_connections_max = KOLK_UNLIMITED;
	engine.connections_max = 1000;
	if (!client->serve(fixture))
		return false;
	fixture->descriptors = descriptors();
	fixture->children = children();
	if (faults != NULL) {
		relay.target = client->address(fixture);
		relay.faults = *faults;
		fixture->relay = kit_relay_open(&relay);
		if (fixture->relay == NULL)
			return false;
	}
	return CHECK_ERR(kolk_engine_create(&engine, &fixture->engine), KOLK_OK) &&
	       pool_open(fixture, options) && (client->open == NULL || client->open(fixture));
}

bool client_fixture_close(struct client_fixture *fixture)
{
	const char *law = NULL;
	bool good = true;

	if (fixture->engine != NULL) {
		if (fixture->client->close != NULL)
			fixture->client->close(fixture);
		kolk_engine_drain(fixture->engine, kolk_in_ms(5000));
		good = CHECK_ERR(kolk_engine_wait_closed(fixture->engine, kolk_in_ms(10000)),
				 KOLK_OK);
		good = CHECK_ERR(kolk_check(fixture->engine, &law), KOLK_OK) && good;
		if (law != NULL)
			tap_note("broken: %s", law);
		good = CHECK_ERR(kolk_engine_destroy(fixture->engine), KOLK_OK) && good;
	}
	kit_relay_close(fixture->relay);
	good = CHECK(descriptors() <= fixture->descriptors) && good;
	good = CHECK(children() <= fixture->children) && good;
	kit_peer_close(fixture->peer);
	return good;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void count_lines(char **lines, size_t count, uint64_t *once, uint64_t *more)
{
	size_t run;

	qsort(lines, count, sizeof *lines, by_text);
	*once = *more = 0;
	for (size_t i = 0; i < count; i += run) {
		for (run = 1; i + run < count && strcmp(lines[i], lines[i + run]) == 0; run++)
			continue;
		*(run == 1 ? once : more) += 1;
		if (run > 1)
			tap_note("%zu times: %s", run, lines[i]);
	}
}

bool client_fixture_lines(const struct client_fixture *fixture, const char *name,
			  uint64_t *once, uint64_t *more)
{
	char path[KIT_PEER_PATH], text[256], **lines = NULL;
	size_t count = 0, capacity = 0;
	FILE *file = fopen(peer_path(fixture->peer, name, path), "re");

	if (!CHECK(file != NULL))
		return false;
	while (fgets(text, sizeof text, file) != NULL) {
		if (count == capacity) {
			capacity = capacity == 0 ? 1024 : 2 * capacity;
			lines = realloc(lines, capacity * sizeof *lines);
			if (lines == NULL)
				abort();
		}
		text[strcspn(text, "\n")] = '\0';
		lines[count++] = strdup(text);
	}
	fclose(file);
	count_lines(lines, count, once, more);
	for (size_t i = 0; i < count; i++)
		free(lines[i]);
	free(lines);
	return true;
}

void nonce_print(uint64_t nonce, char text[CLIENT_NONCE])
{
	snprintf(text, CLIENT_NONCE, "n%" PRIu64, nonce);
}

uint64_t nonce_parse(const void *text, size_t size)
{
	char copy[CLIENT_NONCE];
	uint64_t nonce;
	int used = 0;

	if (size >= sizeof copy)
		return 0;
	memcpy(copy, text, size);
	copy[size] = '\0';
	return sscanf(copy, "n%" SCNu64 "%n", &nonce, &used) == 1 && (size_t)used == size
		       ? nonce
		       : 0;
}

uint64_t client_deadline(const struct kit_nonce_slot *slot)
{
	uint64_t patience_ns = slot->options->deadline_ns;

	return patience_ns == 0 ? kolk_in_ms(30000) : kolk_in_ms(patience_ns / KOLK_MS_NS);
}

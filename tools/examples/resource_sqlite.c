/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource_sqlite.c - SQLite handles as a pool: one database file per tenant, a few handles each.
 *
 * Opening a handle reads and parses the schema; a pooled one has done that. A handle comes back
 * with nothing of its last user: no open transaction, no statement half-way, no temporary table.
 */
#include <kolk/kolk.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* On a worker thread: it may block. Each tenant's own file; its name is trusted here. */
static enum kolk_err create_for(void *user, struct kolk_resource_request *request, void **resource)
{
	sqlite3 *handle = NULL;
	char path[200];
	int result;

	snprintf(path, sizeof path, "%s/%.64s.db", (const char *)user,
		 kolk_key_tenant(request->key));
	result = sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
				 SQLITE_OPEN_NOMUTEX, NULL); /* one thread at a time has it */
	if (result == SQLITE_OK)
		result = sqlite3_exec(handle, "PRAGMA busy_timeout=2000;"
				      "CREATE TABLE IF NOT EXISTS notes(text)", NULL, NULL, NULL);
	if (result == SQLITE_OK) {
		*resource = handle;
		return KOLK_OK;
	}
	request->os_error = sqlite3_system_errno(handle);
	sqlite3_close(handle);
	return result == SQLITE_NOMEM ? KOLK_E_MEMORY : KOLK_E_RESOURCE;
}

static enum kolk_err validate(void *user, void *resource)
{
	(void)user;
	return sqlite3_exec(resource, "SELECT 1", NULL, NULL, NULL) == SQLITE_OK ?
		       KOLK_OK : KOLK_E_RESOURCE;
}

/* At release, on the releasing thread: in memory, but for a transaction that was left open. */
static enum kolk_err reset(void *user, void *resource)
{
	sqlite3_stmt *left;

	(void)user;
	while ((left = sqlite3_next_stmt(resource, NULL)) != NULL)
		sqlite3_finalize(left);
	if (!sqlite3_get_autocommit(resource) &&
	    sqlite3_exec(resource, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
		return KOLK_E_RESOURCE;
	/* Another temp_store drops the temporary tables. */
	return sqlite3_exec(resource, "PRAGMA temp_store=FILE; PRAGMA temp_store=MEMORY", NULL,
			    NULL, NULL) == SQLITE_OK ? KOLK_OK : KOLK_E_RESOURCE;
}

static void destroy(void *user, void *resource)
{
	(void)user;
	sqlite3_close_v2(resource);
}

static const struct kolk_resource_driver driver = {
	.size = sizeof driver, .name = "sqlite", .create_for = create_for, .validate = validate,
	.reset = reset, .destroy = destroy
};

/* Run it, and leave the handle as it is: the pool clears up. */
static enum kolk_err run(struct kolk_key *key, const char *sql)
{
	struct kolk_lease lease;
	enum kolk_err err = kolk_acquire(key, kolk_in_ms(2000), &lease);
	sqlite3 *handle;

	if (err != KOLK_OK)
		return err;
	handle = kolk_lease_resource(&lease);
	if (sqlite3_exec(handle, sql, NULL, NULL, NULL) != SQLITE_OK) {
		fprintf(stderr, "%s\n", sqlite3_errmsg(handle));
		err = KOLK_E_RESOURCE;
	}
	kolk_release(&lease);
	return err;
}

static int count(struct kolk_key *key)
{
	struct kolk_lease lease;
	sqlite3_stmt *query;
	int notes = -1;

	if (kolk_acquire(key, kolk_in_ms(2000), &lease) != KOLK_OK)
		return notes;
	if (sqlite3_prepare_v2(kolk_lease_resource(&lease), "SELECT count(*) FROM notes", -1,
			       &query, NULL) == SQLITE_OK && sqlite3_step(query) == SQLITE_ROW)
		notes = sqlite3_column_int(query, 0);
	kolk_release(&lease); /* with the statement open: reset finalizes it */
	return notes;
}

static enum kolk_err use(struct kolk_key *key)
{
	enum kolk_err err = KOLK_OK;

	for (int i = 0; i < 100 && err == KOLK_OK; i++) {
		err = run(key, "INSERT INTO notes VALUES ('kept')");
		if (err == KOLK_OK) /* a caller that forgets to commit loses its own work alone */
			err = run(key, "BEGIN; INSERT INTO notes VALUES ('forgotten');"
				       "CREATE TEMP TABLE mine(x)");
	}
	return err;
}

static void clear_up(const char *base)
{
	static const char *const files[] = { "alice.db", "alice.db-journal" };
	char path[200];

	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/%s", base, files[i]);
		unlink(path);
	}
	rmdir(base);
}

int main(void)
{
	char base[] = "/tmp/kolk-example-XXXXXX";
	struct kolk_engine_options engine_options = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options options = KOLK_INIT(kolk_pool_options);
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_key *key;
	enum kolk_err err;
	int notes;

	options.name = "databases";
	options.resource = &driver;
	options.driver_user = mkdtemp(base); /* lives as long as the pool */
	options.connections_max = 4;
	who.tenant = "alice";
	if (options.driver_user == NULL ||
	    kolk_engine_create(&engine_options, &engine) != KOLK_OK ||
	    kolk_pool_add(engine, &options, &pool) != KOLK_OK ||
	    kolk_key_open(pool, &who, &key) != KOLK_OK)
		return 1;
	err = use(key);
	notes = count(key);
	if (err != KOLK_OK)
		fprintf(stderr, "%s\n", kolk_err_text(err));
	if (kolk_pool_stats(pool, &stats) == KOLK_OK)
		printf("%d notes of 100 are there, %llu handles were opened\n", notes,
		       (unsigned long long)stats.created);
	kolk_key_close(key);
	kolk_engine_destroy(engine);
	clear_up(base);
	return err != KOLK_OK || notes != 100;
}

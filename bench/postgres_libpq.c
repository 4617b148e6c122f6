/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres_libpq.c - libpq by hand: its non-blocking interface on a bare epoll loop, in pipeline
 * mode where several queries are sent together; and PQexecParams, as threads use it.
 */
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bench/proto.h"

enum { EVENTS = 64, NUMBER_BYTES = 12, CONNINFO_BYTES = 256 };

static const char query[] = "SELECT repeat('x', $1::int)";

struct drive {
	struct load *load;
	int epoll;
	uint32_t connecting; /* pooled: all connect before the first query */
	struct lane *lanes;
	char conninfo[CONNINFO_BYTES];
	char bytes[NUMBER_BYTES]; /* the parameter */
};

struct lane {
	struct drive *drive;
	PGconn *pg;
	uint32_t owed;
	bool connecting, writing;
	int fd;
	uint64_t sent_ns;
};

static void describe(struct drive *drive, struct load *load)
{
	const struct site *site = load->site;
	char ssl[160];

	*drive = (struct drive){ .load = load };
	snprintf(drive->bytes, sizeof drive->bytes, "%u", load->bytes);
	if (site->ca_file != NULL)
		snprintf(ssl, sizeof ssl, "sslmode=verify-full sslrootcert=%s", site->ca_file);
	else
		snprintf(ssl, sizeof ssl, "sslmode=disable");
	snprintf(drive->conninfo, sizeof drive->conninfo,
		 "host=%s port=%u user=%s password=%s dbname=%s gssencmode=disable %s",
		 site->unix_path ? site->unix_path : "127.0.0.1", site->port, site->user,
		 site->password, site->database, ssl);
}

static void check_row(const struct load *load, PGconn *pg, const PGresult *result)
{
	if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1 ||
	    PQgetlength(result, 0, 0) != (int)load->bytes)
		die("libpq: %s", PQerrorMessage(pg));
}

/* ---- conversations */

static void watch(struct lane *lane, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = lane };
	int operation = lane->fd == PQsocket(lane->pg) ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	lane->fd = PQsocket(lane->pg);
	if (epoll_ctl(lane->drive->epoll, operation, lane->fd, &event) != 0)
		die("libpq: cannot watch a connection");
}

static void flush(struct lane *lane)
{
	int left = PQflush(lane->pg);

	if (left < 0)
		die("libpq: %s", PQerrorMessage(lane->pg));
	if ((left == 1) != lane->writing) {
		lane->writing = left == 1;
		watch(lane, EPOLLIN | (lane->writing ? EPOLLOUT : 0u));
	}
}

static void converse(struct lane *lane, uint64_t now_ns)
{
	struct drive *drive = lane->drive;
	const char *values[1] = { drive->bytes };
	bool pipeline = drive->load->depth > 1;

	lane->sent_ns = now_ns;
	lane->owed = drive->load->depth;
	for (uint32_t i = 0; i < lane->owed; i++)
		if (PQsendQueryParams(lane->pg, query, 1, NULL, values, NULL, NULL, 0) != 1)
			die("libpq: %s", PQerrorMessage(lane->pg));
	if (pipeline && PQpipelineSync(lane->pg) != 1)
		die("libpq: %s", PQerrorMessage(lane->pg));
	flush(lane);
}

static void lane_open(struct lane *lane)
{
	lane->pg = PQconnectStart(lane->drive->conninfo);
	if (lane->pg == NULL || PQstatus(lane->pg) == CONNECTION_BAD)
		die("libpq: %s", PQerrorMessage(lane->pg));
	lane->drive->load->connections++;
	lane->connecting = true;
	lane->fd = -1;
	watch(lane, EPOLLOUT);
}

static void start(struct drive *drive)
{
	load_begin(drive->load);
	for (uint32_t i = 0; i < drive->load->concurrency; i++)
		converse(&drive->lanes[i], drive->load->began_ns);
}

static void connecting(struct lane *lane)
{
	switch (PQconnectPoll(lane->pg)) {
	case PGRES_POLLING_READING:
		watch(lane, EPOLLIN);
		return;
	case PGRES_POLLING_WRITING:
		watch(lane, EPOLLOUT);
		return;
	case PGRES_POLLING_OK:
		break;
	default:
		die("libpq: %s", PQerrorMessage(lane->pg));
	}
	lane->connecting = lane->writing = false;
	watch(lane, EPOLLIN);
	PQsetnonblocking(lane->pg, 1);
	if (lane->drive->load->depth > 1)
		PQenterPipelineMode(lane->pg);
	if (lane->drive->load->fresh)
		converse(lane, lane->sent_ns);
	else if (--lane->drive->connecting == 0)
		start(lane->drive);
}

static void ended(struct lane *lane, uint64_t now_ns)
{
	if (now_ns == 0)
		return;
	lane->sent_ns = now_ns;
	if (!lane->drive->load->fresh) {
		converse(lane, now_ns);
		return;
	}
	PQfinish(lane->pg);
	lane_open(lane);
}

/* What libpq has understood so far. */
static void answers(struct lane *lane)
{
	struct load *load = lane->drive->load;
	uint64_t now_ns = 1;

	while (!PQisBusy(lane->pg)) {
		PGresult *result = PQgetResult(lane->pg);
		bool synced = PQresultStatus(result) == PGRES_PIPELINE_SYNC;

		if (result != NULL && !synced) {
			check_row(load, lane->pg, result);
			now_ns = load_done(load, lane->sent_ns);
			lane->owed--;
		}
		PQclear(result);
		if (lane->owed == 0 && (load->depth > 1 ? synced : result == NULL)) {
			ended(lane, now_ns);
			return;
		}
	}
}

/* ---- the loop */

static void turn(struct drive *drive)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(drive->epoll, events, EVENTS, 1000);

	for (int i = 0; i < count && !drive->load->over; i++) {
		struct lane *lane = events[i].data.ptr;

		if (lane->connecting) {
			connecting(lane);
			continue;
		}
		if (events[i].events & EPOLLOUT)
			flush(lane);
		if (events[i].events & EPOLLIN) {
			if (PQconsumeInput(lane->pg) != 1)
				die("libpq: %s", PQerrorMessage(lane->pg));
			answers(lane);
		}
	}
}

void postgres_libpq(struct load *load)
{
	struct lane *lanes = calloc(load->concurrency, sizeof *lanes);
	struct drive drive;

	describe(&drive, load);
	drive.epoll = epoll_create1(EPOLL_CLOEXEC);
	drive.lanes = lanes;
	drive.connecting = load->concurrency;
	load_begin(load);
	for (uint32_t i = 0; i < load->concurrency; i++) {
		lanes[i].drive = &drive;
		lanes[i].sent_ns = load->began_ns;
		lane_open(&lanes[i]);
	}
	while (!load->over)
		turn(&drive);
	for (uint32_t i = 0; i < load->concurrency; i++)
		PQfinish(lanes[i].pg);
	close(drive.epoll);
	free(lanes);
}

/* ---- the blocking interface */

void postgres_libpq_blocking(struct load *load)
{
	struct drive drive;
	const char *values[1] = { drive.bytes };
	PGconn *pg = NULL;
	uint64_t now_ns;

	describe(&drive, load);
	load_begin(load);
	for (now_ns = load->began_ns; now_ns != 0;) {
		PGresult *result;

		if (pg == NULL) {
			pg = PQconnectdb(drive.conninfo);
			load->connections++;
		}
		result = PQexecParams(pg, query, 1, NULL, values, NULL, NULL, 0);
		check_row(load, pg, result);
		PQclear(result);
		now_ns = load_done(load, now_ns);
		if (load->fresh || now_ns == 0) {
			PQfinish(pg);
			pg = NULL;
		}
	}
}

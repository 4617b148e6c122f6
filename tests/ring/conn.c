/* SPDX-License-Identifier: Apache-2.0 */
/* conn.c - the connections of a random program, and what their peers do. */
#include "tests/ring/program.h"

struct conn *program_conn_of(struct program *p, uint64_t peer)
{
	for (struct conn *conn = p->conns; conn < p->conns + CONNS; conn++)
		if (conn->open && conn->peer == peer)
			return conn;
	return NULL;
}

struct conn *any_conn(struct program *p)
{
	return &p->conns[program_below(p, CONNS)];
}

void say(struct program *p, struct conn *conn, size_t size)
{
	if (!conn->open || !conn->ready || conn->ended || conn->gone)
		return;
	fill(conn, p->bytes, size, conn->said, true);
	conn->said += p->options->world->say(p, conn, p->bytes, size);
	p->operations++;
}

void conn_open(struct program *p, struct conn *conn)
{
	int fd;

	if (conn->open || conn->dialled)
		return;
	*conn = (struct conn){ .number = ++p->numbers, .peer_fd = -1, .echoes = one_in(p, 48) };
	if (one_in(p, 4) && dial_in(p, conn))
		return;
	fd = p->options->world->socket(p, conn);
	if (fd < 0)
		return;
	conn->fd = fd;
	conn->open = true;
	if (!conn->ready)
		start(p, conn, KOLK_OP_CONNECT);
	else if (conn->echoes)
		say(p, conn, LARGE);
	else
		start_one(p, conn);
}

void close_if_quiet(struct program *p, struct conn *conn)
{
	for (int direction = 0; direction < DIRECTIONS; direction++)
		if (conn->job[direction] != NULL)
			return;
	p->operations++;
	conn->open = false;
	p->options->world->leave(p, conn);
	if (!p->settling && one_in(p, 2))
		conn_open(p, conn); /* with the same number, as a rule */
}

void conn_close(struct program *p, struct conn *conn)
{
	if (!conn->open || conn->closing)
		return;
	conn->closing = true;
	for (int direction = 0; direction < DIRECTIONS; direction++)
		cancel(p, conn->job[direction]);
	close_if_quiet(p, conn);
}

void peer_end(struct program *p, struct conn *conn, bool reset)
{
	if (!conn->open || !conn->ready || conn->gone || (conn->ended && !reset))
		return;
	conn->ended = true;
	conn->gone = reset;
	p->operations++;
	p->options->world->end(p, conn, reset);
}

void shut_down(struct program *p, struct conn *conn)
{
	if (!conn->open || !conn->ready)
		return;
	conn->ended = conn->gone = true; /* to us it looks the same */
	p->operations++;
	p->sys->sock_shutdown(p->sys->context, conn->fd);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - kolk-ops-hostile-server: a hostile server for the tests of kolk-ctl and kolk-top:
 * kolk-ops-hostile-server SOCKET FILE. Each client gets the file's bytes, whatever its request;
 * with "endless" as the file an answer that has no end. It ends when its standard input does.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_MAX = 1 << 20, PIECE = 1 << 16 };

static char answer[ANSWER_MAX], request[PIECE];

static size_t read_answer(const char *path)
{
	FILE *file = fopen(path, "r");
	size_t size = file != NULL ? fread(answer, 1, sizeof answer, file) : 0;

	if (file != NULL)
		fclose(file);
	return size;
}

static void lie(int fd, const char *path)
{
	static const char head[] = "HTTP/1.1 200 OK\r\n\r\n";

	if (recv(fd, request, sizeof request, 0) <= 0)
		return;
	if (strcmp(path, "endless") != 0) {
		(void)!send(fd, answer, read_answer(path), MSG_NOSIGNAL);
		return;
	}
	memset(answer, 'x', sizeof answer);
	if (send(fd, head, sizeof head - 1, MSG_NOSIGNAL) > 0)
		while (send(fd, answer, sizeof answer, MSG_NOSIGNAL) > 0)
			;
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN },
				{ .fd = socket(AF_UNIX, SOCK_STREAM, 0), .events = POLLIN } };

	if (argc != 3 || strlen(argv[1]) >= sizeof address.sun_path)
		return 2;
	strcpy(address.sun_path, argv[1]);
	if (bind(fds[1].fd, (struct sockaddr *)&address, sizeof address) != 0 ||
	    listen(fds[1].fd, 16) != 0)
		return 1;
	while (poll(fds, 2, -1) > 0 && fds[0].revents == 0) {
		int fd = accept(fds[1].fd, NULL, NULL);

		if (fd < 0)
			return 1;
		lie(fd, argv[2]);
		close(fd);
	}
	return 0;
}

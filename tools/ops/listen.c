/* SPDX-License-Identifier: Apache-2.0 */
/* listen.c - opens the admin server's socket, and replaces the stale socket of a dead server. */
#include "tools/ops/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <kolk/ops/section.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { BACKLOG = 16, LOCK_TRIES = 100, LOCK_NAP_NS = 10 * 1000 * 1000 };

static const char unix_scheme[] = "unix:";

bool kolk__is_tcp(const char *text)
{
	return strncmp(text, unix_scheme, sizeof unix_scheme - 1) != 0;
}

static enum kolk_err os_err(int32_t *os_error)
{
	*os_error = errno;
	return KOLK_E_IO;
}

static enum kolk_err close_and_fail(struct kolk__listener *listener, enum kolk_err err)
{
	close(listener->fd);
	listener->fd = -1;
	return err;
}

/* ---- Unix */

/* Whether a server accepts there. A stale socket refuses. */
static bool is_answered(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool answered;

	if (fd < 0)
		return true; /* in doubt */
	answered = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ||
		   errno != ECONNREFUSED;
	close(fd);
	return answered;
}

static enum kolk_err remove_stale(const struct sockaddr_un *address)
{
	struct stat stat;

	if (lstat(address->sun_path, &stat) != 0)
		return KOLK_OK;
	if (!S_ISSOCK(stat.st_mode))
		return KOLK_E_OPTIONS;
	if (is_answered(address))
		return KOLK_E_IN_USE;
	(void)unlink(address->sun_path);
	return KOLK_OK;
}

/* Of two that start at once, the second would take over the socket that the first made and does not
 * listen on yet: so checking and binding happen under a lock of the folder. It is tried for a
 * second at most, because any process that can read the folder can lock it. Returns what to close,
 * or -1. */
static int folder_lock(const char *path)
{
	char folder[sizeof(struct sockaddr_un)];
	int fd;

	(void)snprintf(folder, sizeof folder, "%.*s/", (int)(strrchr(path, '/') - path), path);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; fd >= 0 && i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) != 0; i++)
		(void)nanosleep(&(struct timespec){ .tv_nsec = LOCK_NAP_NS }, NULL);
	return fd;
}

/* The mode is set before the file is there, so that there is no moment in which others may
 * connect (the umask can only take more away). */
static enum kolk_err bind_unix(const struct sockaddr_un *address, struct kolk__listener *listener,
			       int32_t *os_error)
{
	enum kolk_err err = remove_stale(address);
	struct stat stat;

	if (err != KOLK_OK)
		return err;
	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0)
		return os_err(os_error);
	if (fchmod(listener->fd, 0600) != 0 ||
	    bind(listener->fd, (const struct sockaddr *)address, sizeof *address) != 0 ||
	    lstat(address->sun_path, &stat) != 0 || listen(listener->fd, BACKLOG) != 0) {
		err = errno == EADDRINUSE ? KOLK_E_IN_USE : os_err(os_error);
		return close_and_fail(listener, err);
	}
	listener->device = stat.st_dev;
	listener->inode = stat.st_ino;
	return KOLK_OK;
}

static enum kolk_err listen_unix(const char *path, struct kolk__listener *listener,
				 int32_t *os_error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	enum kolk_err err;
	int folder;

	if (path[0] != '/' || strlen(path) >= sizeof address.sun_path)
		return KOLK_E_OPTIONS;
	strcpy(address.sun_path, path);
	folder = folder_lock(path);
	err = bind_unix(&address, listener, os_error);
	if (folder >= 0)
		close(folder);
	(void)snprintf(listener->address, sizeof listener->address, "%s%s", unix_scheme, path);
	return err;
}

/* ---- TCP */

bool kolk__ip_address_read(const char *text, struct sockaddr_storage *address, socklen_t *size)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
	const char *colon = strrchr(text, ':');
	char host[64];
	unsigned long port;
	char *end;
	size_t length;

	if (colon == NULL || colon[1] < '0' || colon[1] > '9')
		return false;
	port = strtoul(colon + 1, &end, 10);
	length = (size_t)(colon - text);
	if (*end != 0 || port > 65535 || length == 0 || length >= sizeof host)
		return false;
	memcpy(host, text, length);
	host[length] = 0;
	memset(address, 0, sizeof *address);
	if (host[0] == '[' && host[length - 1] == ']') {
		host[length - 1] = 0;
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		*size = sizeof *v6;
		return inet_pton(AF_INET6, host + 1, &v6->sin6_addr) == 1;
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons((uint16_t)port);
	*size = sizeof *v4;
	return inet_pton(AF_INET, host, &v4->sin_addr) == 1;
}

const char *kolk_config_address_flaw(const char *address)
{
	struct sockaddr_storage is;
	const char *flaw = NULL;
	char text[80];
	socklen_t size;
	int fd;

	if (!kolk__ip_address_read(address, &is, &size)) {
		(void)snprintf(text, sizeof text, "%s%s%s:0", strchr(address, ':') != NULL ? "[" : "",
			       address, strchr(address, ':') != NULL ? "]" : "");
		if (!kolk__ip_address_read(text, &is, &size))
			return NULL;
	}
	if (is.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&is)->sin6_port = 0;
	else
		((struct sockaddr_in *)&is)->sin_port = 0;
	fd = socket(is.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return NULL;
	if (bind(fd, (struct sockaddr *)&is, size) != 0 && errno == EADDRNOTAVAIL)
		flaw = "this machine does not have it";
	close(fd);
	return flaw;
}

static void read_address(struct kolk__listener *listener)
{
	struct sockaddr_storage address;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address;
	socklen_t size = sizeof address;
	char host[64] = "";

	(void)getsockname(listener->fd, (struct sockaddr *)&address, &size);
	if (address.ss_family == AF_INET6) {
		(void)inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
		(void)snprintf(listener->address, sizeof listener->address, "[%s]:%u", host,
			       ntohs(v6->sin6_port));
		return;
	}
	(void)inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
	(void)snprintf(listener->address, sizeof listener->address, "%s:%u", host,
		       ntohs(v4->sin_port));
}

static enum kolk_err listen_tcp(const char *text, struct kolk__listener *listener,
				int32_t *os_error)
{
	struct sockaddr_storage address;
	socklen_t size;
	enum kolk_err err;
	int one = 1;

	if (!kolk__ip_address_read(text, &address, &size))
		return KOLK_E_OPTIONS;
	listener->tcp = true;
	listener->fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0)
		return os_err(os_error);
	(void)setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(listener->fd, (struct sockaddr *)&address, size) != 0 ||
	    listen(listener->fd, BACKLOG) != 0) {
		err = errno == EADDRINUSE ? KOLK_E_IN_USE : os_err(os_error);
		return close_and_fail(listener, err);
	}
	read_address(listener);
	return KOLK_OK;
}

/* ---- both */

enum kolk_err kolk__listen(const char *text, struct kolk__listener *listener, int32_t *os_error)
{
	*listener = (struct kolk__listener){ .fd = -1 };
	return kolk__is_tcp(text) ?
		       listen_tcp(text, listener, os_error) :
		       listen_unix(text + sizeof unix_scheme - 1, listener, os_error);
}

/* The file goes only if it is still the one that was made. */
void kolk__listen_end(struct kolk__listener *listener)
{
	const char *path = listener->address + sizeof unix_scheme - 1;
	struct stat stat;

	if (listener->fd < 0)
		return;
	close(listener->fd);
	if (!listener->tcp && lstat(path, &stat) == 0 && stat.st_dev == listener->device &&
	    stat.st_ino == listener->inode)
		(void)unlink(path);
	listener->fd = -1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* listen_linux.c - listening sockets of this machine, and what they accept. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "transport/linux.h"
#include "transport/ring.h"

/* ---- accept */

enum { ACCEPTS_MAX = 64 }; /* in a step */

/* The connection ended in the queue, or a packet filter refused it: accept(2). The next one may be
 * well. */
static bool is_of_one(int error)
{
	switch (error) {
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case EPERM:
	case ENETDOWN:
	case ENETUNREACH:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
	case ETIMEDOUT:
		return true;
	default:
		return false;
	}
}

int32_t kolk__ring_accept(struct kolk_op *op)
{
	for (int i = 0; i < ACCEPTS_MAX && !op->cancelled; i++) {
		struct kolk_address peer = { 0 };
		struct sockaddr *address = (struct sockaddr *)(void *)peer.bytes;
		socklen_t size = sizeof peer.bytes;
		int fd = accept4(op->fd, address, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 && is_of_one(errno))
			continue;
		if (fd < 0)
			return -errno;
		kolk__sock_vary(op->fd, fd, (uint32_t)op->size);
		peer.size = size;
		peer.family = address->sa_family;
		op->data = &peer;
		op->result = fd;
		op->done(op); /* may cancel it */
		op->data = NULL;
	}
	return op->cancelled ? -ECANCELED : 0;
}

/* ---- a Unix socket's file */

static const struct sockaddr *sockaddr_of(const struct kolk_address *address)
{
	return (const struct sockaddr *)(const void *)address->bytes;
}

/* "" = a name without a file. */
static const char *path_of(const struct kolk_address *address)
{
	return address->family == AF_UNIX &&
			       address->size > offsetof(struct sockaddr_un, sun_path) ?
		       ((const struct sockaddr_un *)(const void *)address->bytes)->sun_path : "";
}

/* A socket at which no process listens. A queue that is full answers EAGAIN. */
static bool is_stale(const struct kolk_address *address)
{
	struct stat file;
	int fd = -1, error = 0;

	if (lstat(path_of(address), &file) != 0 || !S_ISSOCK(file.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	if (connect(fd, sockaddr_of(address), address->size) != 0)
		error = errno;
	close(fd);
	return error == ECONNREFUSED;
}

/* As long as the socket is open, no other file has its number. */
void kolk__linux_sock_unlink(void *context, const struct kolk_address *address,
			     const uint64_t id[2])
{
	struct stat file;

	(void)context;
	if (path_of(address)[0] != 0 && lstat(path_of(address), &file) == 0 &&
	    file.st_dev == id[0] && file.st_ino == id[1])
		unlink(path_of(address));
}

/* (uid_t)-1 means no change: chown(2). */
static bool number_read(const char *text, uint32_t *id)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	*id = (uint32_t)number;
	return *text >= '0' && *text <= '9' && *end == 0 && errno == 0 && number < UINT32_MAX;
}

/* A group has as many members as it likes. */
enum { ENTRY_MIN = 4096, ENTRY_MAX = 16 * 1024 * 1024 };

/* A name or a number. */
static bool user_read(const char *text, uid_t *id)
{
	struct passwd entry, *found = NULL;
	int err = ERANGE;

	for (size_t size = ENTRY_MIN; err == ERANGE && size <= ENTRY_MAX; size *= 2) {
		char *space = malloc(size);

		err = space != NULL ? getpwnam_r(text, &entry, space, size, &found) : ENOMEM;
		free(space);
	}
	if (err != 0 || found == NULL)
		return number_read(text, id);
	*id = entry.pw_uid;
	return true;
}

static bool group_read(const char *text, gid_t *id)
{
	struct group entry, *found = NULL;
	int err = ERANGE;

	for (size_t size = ENTRY_MIN; err == ERANGE && size <= ENTRY_MAX; size *= 2) {
		char *space = malloc(size);

		err = space != NULL ? getgrnam_r(text, &entry, space, size, &found) : ENOMEM;
		free(space);
	}
	if (err != 0 || found == NULL)
		return number_read(text, id);
	*id = entry.gr_gid;
	return true;
}

static int owner_read(const char *owner, uid_t *user, gid_t *group)
{
	char name[256];
	size_t size = strcspn(owner, ":");

	if (size >= sizeof name)
		return -ESRCH;
	memcpy(name, owner, size);
	name[size] = 0;
	if (!user_read(name, user) || (owner[size] == ':' && !group_read(owner + size + 1, group)))
		return -ESRCH;
	return 0;
}

static int own(const char *path, const struct kolk_sock_listen *o)
{
	uid_t user = (uid_t)-1;
	gid_t group = (gid_t)-1;
	int err = o->owner != NULL ? owner_read(o->owner, &user, &group) : 0;

	if (err == 0 && o->owner != NULL && chown(path, user, group) != 0)
		err = -errno;
	if (err == 0 && chmod(path, (mode_t)o->mode) != 0)
		err = -errno;
	return err;
}

/* A name in the folder of path that no other file has. */
static int bind_beside(int fd, const char *path, struct sockaddr_un *to)
{
	enum { TRIES = 100 };
	const char *slash = strrchr(path, '/');
	int folder = slash != NULL ? (int)(slash + 1 - path) : 0;

	*to = (struct sockaddr_un){ .sun_family = AF_UNIX };
	for (unsigned i = 0; i < TRIES; i++) {
		int size = snprintf(to->sun_path, sizeof to->sun_path, "%.*s.%x-%x", folder, path,
				    (unsigned)getpid(), i);

		if (size >= (int)sizeof to->sun_path)
			return -ENAMETOOLONG;
		if (bind(fd, (const struct sockaddr *)(const void *)to, sizeof *to) == 0)
			return 0;
		if (errno != EADDRINUSE)
			return -errno;
	}
	return -EADDRINUSE;
}

/* To its name, if that is free, or a stale file's. */
static int name_file(const char *from, const struct kolk_address *address)
{
	const char *path = path_of(address);
	struct stat file;

	if (lstat(path, &file) == 0)
		return !is_stale(address)	? -EADDRINUSE :
		       rename(from, path) == 0 ? 0 : -errno;
	if (renameat2(AT_FDCWD, from, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS) /* that file system cannot */
		return errno == EEXIST ? -EADDRINUSE : -errno;
	return rename(from, path) == 0 ? 0 : -errno;
}

/* The file has its name only when it is owned and listened at: one that refuses a connect is
 * stale. */
static int make_file(int fd, const struct kolk_sock_listen *o)
{
	struct sockaddr_un beside;
	struct stat file = { 0 };
	int err = bind_beside(fd, path_of(o->address), &beside);

	if (err != 0)
		return err;
	err = own(beside.sun_path, o);
	if (err == 0 && (listen(fd, (int)o->backlog) != 0 || lstat(beside.sun_path, &file) != 0))
		err = -errno;
	if (err == 0)
		err = name_file(beside.sun_path, o->address);
	if (err != 0)
		unlink(beside.sun_path);
	if (o->file != NULL) {
		o->file[0] = file.st_dev;
		o->file[1] = file.st_ino;
	}
	return err;
}

/* ---- listen */

static void set(int fd, int name)
{
	int one = 1;

	(void)setsockopt(fd, SOL_SOCKET, name, &one, sizeof one);
}

/* The first of several sockets binds without SO_REUSEPORT: an address that another has is told. */
static int make(int fd, const struct kolk_sock_listen *o)
{
	if (path_of(o->address)[0] != 0)
		return make_file(fd, o);
	if (o->address->family != AF_UNIX) {
		set(fd, SO_REUSEADDR);
		kolk__sock_tune(fd, o->keepalive_ns, KOLK_FOREVER);
	}
	if (o->share == 2)
		set(fd, SO_REUSEPORT);
	if (bind(fd, sockaddr_of(o->address), o->address->size) != 0)
		return -errno;
	if (o->share == 1)
		set(fd, SO_REUSEPORT);
	return listen(fd, (int)o->backlog) == 0 ? 0 : -errno;
}

static int number_of(int fd, int option)
{
	int value = -1;
	socklen_t size = sizeof value;

	(void)getsockopt(fd, SOL_SOCKET, option, &value, &size);
	return value;
}

/* Who gave it may have made it for programs of another kind. */
static int make_fit(const struct kolk_sock_listen *o)
{
	int flags = fcntl(o->fd, F_GETFL);

	if (number_of(o->fd, SO_ACCEPTCONN) != 1 || number_of(o->fd, SO_TYPE) != SOCK_STREAM)
		return -EINVAL;
	if (fcntl(o->fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
	    fcntl(o->fd, F_SETFD, FD_CLOEXEC) != 0)
		return -errno;
	if (number_of(o->fd, SO_DOMAIN) != AF_UNIX)
		kolk__sock_tune(o->fd, o->keepalive_ns, KOLK_FOREVER);
	return o->fd;
}

int kolk__linux_sock_listen(void *context, const struct kolk_sock_listen *o)
{
	int fd, err;

	(void)context;
	if (o->address == NULL)
		return make_fit(o);
	fd = socket((int)o->address->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	err = make(fd, o);
	if (err == 0)
		return fd;
	close(fd);
	return err;
}

/* The sockets of an address are a group in the order in which they began to listen, and its program
 * chooses by number (SO_ATTACH_REUSEPORT_CBPF, socket(7)): at random, as the kernel's own hash
 * does. What is queued, and handshakes that have begun, stay where they are. */
int kolk__linux_sock_share(void *context, int fd, uint32_t count)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM)),
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, count),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	const struct sock_fprog program = { .len = sizeof code / sizeof code[0], .filter = code };

	(void)context;
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) == 0 ?
		       0 : -errno;
}

/* ---- who is there? */

int kolk__linux_sock_name(void *context, int fd, bool peer, struct kolk_address *name)
{
	struct sockaddr *address = (struct sockaddr *)(void *)name->bytes;
	socklen_t size = sizeof name->bytes;

	(void)context;
	*name = (struct kolk_address){ 0 };
	if ((peer ? getpeername(fd, address, &size) : getsockname(fd, address, &size)) != 0)
		return -errno;
	name->size = size;
	name->family = address->sa_family;
	return 0;
}

int kolk__linux_sock_credentials(void *context, int fd, uint32_t ids[3])
{
	struct ucred peer = { 0 };
	socklen_t size = sizeof peer;

	(void)context;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
		return -errno;
	ids[0] = (uint32_t)peer.pid;
	ids[1] = peer.uid;
	ids[2] = peer.gid;
	return 0;
}

int64_t kolk__linux_sock_unsent(void *context, int fd)
{
	int unsent = 0;

	(void)context;
	return ioctl(fd, SIOCOUTQ, &unsent) == 0 ? unsent : -errno; /* tcp(7), unix(7) */
}

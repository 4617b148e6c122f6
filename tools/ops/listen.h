/* SPDX-License-Identifier: Apache-2.0 */
/* listen.h - where the admin server is found: a Unix socket of its owner's, or TCP. */
#ifndef KOLK_OPS_LISTEN_H
#define KOLK_OPS_LISTEN_H

#include <sys/socket.h>
#include <sys/types.h>

#include <kolk/error.h>

struct kolk__listener {
	int fd;             /* -1 = none */
	bool tcp;
	dev_t device;       /* of the socket file, so that only our own is removed */
	ino_t inode;
	char address[160];  /* as kolk_admin_address returns it */
};

/* Errors: E_OPTIONS (the text is no address, or a file that is no socket is in the way),
 * E_IN_USE, E_IO (*os_error). */
enum kolk_err kolk__listen(const char *text, struct kolk__listener *listener, int32_t *os_error);
void kolk__listen_end(struct kolk__listener *listener);
bool kolk__is_tcp(const char *text);
/* "1.2.3.4:port" or "[v6]:port". Names are not resolved. */
bool kolk__ip_address_read(const char *text, struct sockaddr_storage *address, socklen_t *size);

#endif

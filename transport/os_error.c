/* SPDX-License-Identifier: Apache-2.0 */
/* os_error.c - what an error of the operating system means to a caller. */
#define _GNU_SOURCE /* strerrordesc_np */
#include "transport/os_error.h"

#include <errno.h>
#include <string.h>

enum kolk_err kolk__err_of(int64_t result)
{
	switch (-result) {
	case 0:
		return KOLK_E_CLOSED;
	case ECONNREFUSED:
	case ENOENT: /* no such Unix socket */
		return KOLK_E_CONN_REFUSED;
	case ETIMEDOUT: /* the kernel timed out */
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
	case EHOSTDOWN:
	case ENODEV: /* no such interface */
		return KOLK_E_UNREACHABLE;
	case EMFILE:
	case ENFILE:
		return KOLK_E_FILES;
	case EADDRNOTAVAIL:
	case EADDRINUSE:
		return KOLK_E_PORTS;
	case ENOMEM:
	case ENOBUFS:
		return KOLK_E_MEMORY;
	case ECONNRESET:
	case EPIPE:
	case ECONNABORTED:
		return KOLK_E_RESET;
	case ECANCELED:
		return KOLK_E_CANCELLED;
	default:
		return KOLK_E_IO;
	}
}

const char *kolk__os_error_detail(enum kolk_err err, int64_t os_error)
{
	switch (err) {
	case KOLK_E_CLOSED:
	case KOLK_E_RESET:
	case KOLK_E_FILES:
	case KOLK_E_MEMORY:
	case KOLK_E_CANCELLED:
		return NULL;
	default:
		return os_error < 0 && os_error != -ECONNREFUSED ?
			       strerrordesc_np((int)-os_error) : NULL;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_files.c - the files of a TLS configuration. Each is read once, and the same bytes are
 * digested and parsed. So the digest describes what is trusted and presented, even if the files
 * change meanwhile, and a replaced file makes another identity.
 *
 * Digested: for each file its tag, its size in 8 bytes (little endian) and its content.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transport/tls_state.h"

static const char system_anchors[] = "/etc/ssl/certs/ca-certificates.crt";

enum tag { ANCHORS = 'A', DIRECTORY = 'D', REVOKED = 'R', CERTIFICATE = 'C', KEY = 'K' };

struct reader {
	struct kolk__tls_common *common;
	struct kolk__tls_own *own;
	mbedtls_sha256_context sum;
};

static int parse(struct reader *reader, enum tag tag, const uint8_t *bytes, size_t size)
{
	struct kolk__tls_common *common = reader->common;

	switch (tag) {
	case REVOKED:
		return mbedtls_x509_crl_parse(&common->revoked, bytes, size);
	case CERTIFICATE:
		return mbedtls_x509_crt_parse(&reader->own->certificate, bytes, size);
	case KEY:
		return kolk__pk_parse_key(&reader->own->key, bytes, size, &common->drbg);
	default:
		return mbedtls_x509_crt_parse(&common->anchors, bytes, size);
	}
}

static int digest(struct reader *reader, enum tag tag, const uint8_t *bytes, size_t size)
{
	uint8_t head[9] = { (uint8_t)tag };
	int result;

	for (int i = 0; i < 8; i++)
		head[1 + i] = (uint8_t)((uint64_t)size >> (8 * i));
	result = kolk__sha256_update(&reader->sum, head, sizeof head);
	return result != 0 ? result : kolk__sha256_update(&reader->sum, bytes, size);
}

enum { FILE_MAX = 16 << 20 }; /* bytes; a system's anchors are some 250 KiB */

/* Read the whole file and append a 0, which the parsers count when it is PEM. Unbuffered, so that
 * no copy of a private key is left. A pipe is refused, not waited for. */
static int read_file(const char *path, uint8_t **bytes, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
	struct stat is;
	int result = MBEDTLS_ERR_PK_FILE_IO_ERROR;

	if (file == NULL) {
		if (fd >= 0)
			close(fd);
		return result;
	}
	setbuf(file, NULL);
	*bytes = NULL;
	if (fstat(fileno(file), &is) == 0 && S_ISREG(is.st_mode) && is.st_size <= FILE_MAX) {
		*size = (size_t)is.st_size;
		*bytes = mbedtls_calloc(1, *size + 1);
		result = *bytes == NULL			      ? MBEDTLS_ERR_PK_ALLOC_FAILED :
			 fread(*bytes, 1, *size, file) == *size ? 0 : result;
	}
	fclose(file);
	if (result == 0 && strstr((char *)*bytes, "-----BEGIN ") != NULL)
		++*size;
	if (result != 0 && *bytes != NULL) {
		mbedtls_platform_zeroize(*bytes, *size);
		mbedtls_free(*bytes);
	}
	return result;
}

/* The parser's result: negative = an error, positive = the number of certificates that were not
 * understood; lack of memory is never the cause of these. */
static int add_file(struct reader *reader, enum tag tag, const char *path)
{
	uint8_t *bytes;
	size_t size;
	int result;

	errno = 0;
	result = read_file(path, &bytes, &size);
	if (result != 0)
		return result;
	result = digest(reader, tag, bytes, size);
	if (result == 0)
		result = parse(reader, tag, bytes, size);
	mbedtls_platform_zeroize(bytes, size);
	mbedtls_free(bytes);
	return result != 0 && kolk__tls_is_memory(result) ? MBEDTLS_ERR_X509_ALLOC_FAILED : result;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Every regular file, in one order whatever the file system and the locale. What is no
 * certificate is passed over, as it is in a bundle. */
static int add_directory(struct reader *reader, const char *directory)
{
	struct dirent **entries;
	char path[PATH_MAX];
	struct stat is;
	int count, result = 0;

	errno = 0;
	count = scandir(directory, &entries, NULL, by_bytes);
	if (count < 0)
		return MBEDTLS_ERR_X509_FILE_IO_ERROR;
	for (int i = 0; i < count; i++) {
		int size = snprintf(path, sizeof path, "%s/%s", directory, entries[i]->d_name);

		if (result != MBEDTLS_ERR_X509_ALLOC_FAILED && size < (int)sizeof path &&
		    stat(path, &is) == 0 && S_ISREG(is.st_mode))
			result = add_file(reader, DIRECTORY, path);
		free(entries[i]);
	}
	free(entries);
	return result == MBEDTLS_ERR_X509_ALLOC_FAILED ? result : 0;
}

static enum kolk_err refuse(struct kolk_failure *failure, const char *field, int result)
{
	return kolk__tls_refuse(failure, KOLK_E_TLS, field, result);
}

static enum kolk_err load_anchors(struct reader *reader, const struct kolk__tls_files *files,
				  struct kolk_failure *failure)
{
	const char *file = files->ca_file;
	int result = files->ca_directory != NULL ? add_directory(reader, files->ca_directory) : 0;

	if (result < 0)
		return refuse(failure, "ca_directory", result);
	if (file == NULL && files->ca_directory == NULL)
		file = system_anchors;
	/* Positive: the certificates of the bundle that were understood are trusted. */
	result = file != NULL ? add_file(reader, ANCHORS, file) : 0;
	return result < 0 ? refuse(failure, "ca_file", result) : KOLK_OK;
}

static enum kolk_err load_own(struct reader *reader, const struct kolk__tls_files *files,
			      struct kolk_failure *failure)
{
	struct kolk__tls_own *own = reader->own;
	int result = add_file(reader, CERTIFICATE, files->certificate_file);

	if (result != 0)
		return refuse(failure, "certificate_file", result);
	result = add_file(reader, KEY, files->key_file);
	if (result != 0)
		return refuse(failure, "key_file", result);
	errno = 0;
	result = kolk__pk_check_pair(&own->certificate.pk, &own->key, &reader->common->drbg);
	return result == 0 ? KOLK_OK :
			     kolk__tls_refuse(failure, KOLK_E_OPTIONS, "key_file", result);
}

static enum kolk_err load(struct reader *reader, const struct kolk__tls_files *files,
			  struct kolk_failure *failure)
{
	enum kolk_err err = KOLK_OK;
	int result;

	if (files->trusts)
		err = load_anchors(reader, files, failure);
	if (err == KOLK_OK && files->crl_file != NULL) {
		result = add_file(reader, REVOKED, files->crl_file);
		err = result == 0 ? KOLK_OK : refuse(failure, "crl_file", result);
	}
	if (err == KOLK_OK && files->certificate_file != NULL)
		err = load_own(reader, files, failure);
	return err;
}

enum kolk_err kolk__tls_load(struct kolk__tls_common *common, struct kolk__tls_files *files,
			     struct kolk_failure *failure)
{
	struct reader reader = { .common = common, .own = files->own };
	enum kolk_err err = KOLK_OK;
	int result;

	mbedtls_sha256_init(&reader.sum);
	result = kolk__sha256_starts(&reader.sum);
	if (result == 0)
		err = load(&reader, files, failure);
	if (result == 0 && err == KOLK_OK)
		result = kolk__sha256_finish(&reader.sum, files->digest);
	mbedtls_sha256_free(&reader.sum); /* wiped by mbedTLS */
	return result == 0 ? err : refuse(failure, "tls", result);
}

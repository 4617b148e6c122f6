/* SPDX-License-Identifier: Apache-2.0 */
/* signed.h - two keys of P-256, and a token of each: iss "i", sub "alice", exp in 2096. */
#ifndef KOLK_TESTS_GATEWAY_SIGNED_H
#define KOLK_TESTS_GATEWAY_SIGNED_H

#define KEY_ONE \
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"one\"," \
	"\"x\":\"bHc6uRP3iVQwiDcSG5Lp2psYPSBlkZHVVbtCiN6wRLs\"," \
	"\"y\":\"Qc2WHrVA6tjxVvD4wrbGvBHCnllZMxZ2Zp4bWT-8ruE\"}"
#define KEY_TWO \
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"two\"," \
	"\"x\":\"j5MBYpTd92wHM8lLPIQ1CW8w-Az3BPVjicMimrE5LHg\"," \
	"\"y\":\"P9YbgrwYL1WTlXOkD9-HOgA3mqB9mCkupbkkzE8MuXo\"}"
#define SIGNED_ONE \
	"eyJhbGciOiJFUzI1NiIsImtpZCI6Im9uZSJ9." \
	"eyJpc3MiOiJpIiwic3ViIjoiYWxpY2UiLCJleHAiOjQwMDAwMDAwMDB9." \
	"7h1lsyTbPwnLRuj_N4PUCu3A1iDJBO6Al2Q0ohZeudxQffVI3NHc0k3UnYLwXGU7rFhCo0SA6Bc7JPC_rYtNZg"
#define SIGNED_TWO \
	"eyJhbGciOiJFUzI1NiIsImtpZCI6InR3byJ9." \
	"eyJpc3MiOiJpIiwic3ViIjoiYWxpY2UiLCJleHAiOjQwMDAwMDAwMDB9." \
	"GCKm0jnCN9BcUimfIIgYgsulCe8eaVhlWZAm4EDFH34-r13_kLb2oRPyJvw9PFMa6xbBWso3wSoUhHT1kDJE1Q"

#endif

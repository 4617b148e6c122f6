# Of the values of a key, which stand in values[key]; -1 = nothing was measured.
function median(key, n, list, i, j, swap) {
	n = split(values[key], list, " ")
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && list[j - 1] + 0 > list[j] + 0; j--) {
			swap = list[j]
			list[j] = list[j - 1]
			list[j - 1] = swap
		}
	return n == 0 ? -1 : n % 2 ? list[(n + 1) / 2] + 0 : (list[n / 2] + list[n / 2 + 1]) / 2
}

/* The same sums as one would write them for a 32-bit processor with a long multiplication: 64-bit factors, 128-bit sums. */
#include <stdint.h>

struct sum {
    uint64_t low, high;
};

int accumulate(struct sum *sums, const uint64_t *factors, const uint32_t *count, int rows)
{
    int failed = 0;
    for (int row = 0; row < rows; row++) {
        const uint64_t low = (uint32_t)factors[row] * (uint64_t)*count;
        const uint64_t high = (factors[row] >> 32) * *count + (low >> 32);
        const uint64_t product = high << 32 | (uint32_t)low;
        const uint64_t before = sums[row].high;
        sums[row].low += product;
        sums[row].high += (high >> 32) + (sums[row].low < product);
        if (sums[row].high < before) {
            sums[row].low = sums[row].high = UINT64_MAX;
            failed = 1;
        }
    }
    return failed;
}

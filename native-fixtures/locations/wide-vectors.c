// Variables in vector registers of 32 bytes, of which only XSAVE tells the upper halves. It dumps core in the middle.
#include <stdlib.h>
typedef double four __attribute__((vector_size(32)));
typedef int eight __attribute__((vector_size(32)));
volatile double source = 1.5;
__attribute__((noinline)) four work(four a, eight b) {
  four sum = a * 2 + source;
  eight more = b + 3;
  __asm__ volatile("ud2" : "+x"(sum), "+x"(more)); /* stopped here */
  return sum + (four){more[0], more[1], more[6], more[7]};
}
int main(void) {
  four a = {source, source + 1, source + 2, source + 3};
  eight b = {1, 2, 3, 4, 5, 6, 7, (int)source};
  four c = work(a, b);
  return (int)(c[0] + c[3]);
}

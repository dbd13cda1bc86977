// A library with thread-local variables, named by -DNAME.
#define JOIN2(a, b) a##_##b
#define JOIN(a, b) JOIN2(a, b)

__thread int JOIN(NAME, number) = 40;
__thread char JOIN(NAME, text)[16] = "initial";
__thread long JOIN(NAME, zero);

long JOIN(NAME, touch)(int by) {
  JOIN(NAME, number) += by;
  JOIN(NAME, text)[0] = 'A' + by;
  JOIN(NAME, zero) = by * 3;
  return JOIN(NAME, number) + JOIN(NAME, text)[1] + JOIN(NAME, zero);
}

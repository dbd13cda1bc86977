/** Names of types as a person writes them: `std::string`, without allocators and the namespaces of library versions. */

const characters: ReadonlyMap<string, string> = new Map([
  ['char', ''],
  ['wchar_t', 'w'],
  ['char8_t', 'u8'],
  ['char16_t', 'u16'],
  ['char32_t', 'u32'],
]);

/** Where the whole name is one that has a shorter one; names within templates are left as they are. */
export function spokenName(name: string): string {
  const plain = name.replaceAll(/std::(?:__cxx11|__1|__fs)::/g, 'std::');
  const string =
    /^std::basic_(string|string_view)<(\w+), std::char_traits<\2>(?:, std::allocator<\2>)? ?>$/.exec(plain);
  const prefix = string === null ? undefined : characters.get(string[2] ?? '');
  return string === null || prefix === undefined ? plain : `std::${prefix}${string[1] ?? ''}`;
}

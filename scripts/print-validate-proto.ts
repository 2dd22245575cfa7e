/**
 * Prints buf/validate/validate.proto from the descriptor inside
 * @bufbuild/protovalidate, because no npm package carries the source and the
 * build must work offline. Comments and the rules' own CEL expressions are
 * left out: the copy is only compiled against, the library brings its own.
 *
 *   node scripts/print-validate-proto.ts > third_party/buf/validate/validate.proto
 */
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import { file_buf_validate_validate as file } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

/** The end of `extensions N to max`, exclusive (descriptor.proto). */
const maxFieldNumber = 0x20000000;

const typesByName = new Set<Type>([Type.MESSAGE, Type.ENUM, Type.GROUP]);
const scalars = new Map<Type, string>();
for (const [name, type] of Object.entries(Type)) {
  if (typeof type === "number" && !typesByName.has(type)) scalars.set(type, name.toLowerCase());
}
const labels: Record<Label, string> = {
  [Label.OPTIONAL]: "optional ",
  [Label.REPEATED]: "repeated ",
  [Label.REQUIRED]: "required ",
};

function printField(field: FieldDescriptorProto, label: string): string {
  if (field.defaultValue !== "" && field.defaultValue !== undefined) {
    throw new Error(`${field.name} has a default value, which this script can't print`);
  }
  return `${label}${scalars.get(field.type) ?? field.typeName} ${field.name} = ${field.number};`;
}

function printEnum(enumeration: EnumDescriptorProto): string[] {
  return block(`enum ${enumeration.name}`, [
    ...(enumeration.options?.allowAlias ? ["option allow_alias = true;"] : []),
    ...reserved(enumeration, 0),
    ...enumeration.value.map(({ name, number }) => `${name} = ${number};`),
  ]);
}

function printMessage(message: DescriptorProto): string[] {
  return block(`message ${message.name}`, [
    ...message.nestedType.flatMap(printMessage),
    ...message.enumType.flatMap(printEnum),
    ...reserved(message, 1),
    ...message.field
      .filter((field) => !Object.hasOwn(field, "oneofIndex"))
      .map((field) => printField(field, labels[field.label])),
    ...message.oneofDecl.flatMap((oneof, index) =>
      block(
        `oneof ${oneof.name}`,
        message.field
          .filter((field) => Object.hasOwn(field, "oneofIndex") && field.oneofIndex === index)
          .map((field) => printField(field, "")),
      ),
    ),
    ...message.extensionRange.map(({ start, end }) => `extensions ${range(start, end - 1)};`),
  ]);
}

function reserved(
  type: { reservedRange: { start: number; end: number }[]; reservedName: string[] },
  exclusive: 0 | 1,
): string[] {
  return [
    ...type.reservedRange.map(({ start, end }) => `reserved ${range(start, end - exclusive)};`),
    ...type.reservedName.map((name) => `reserved "${name}";`),
  ];
}

function range(first: number, last: number): string {
  if (first === last) return `${first}`;
  return `${first} to ${last === maxFieldNumber - 1 ? "max" : last}`;
}

function block(head: string, lines: string[]): string[] {
  return [`${head} {`, ...lines.map((line) => `  ${line}`), "}"];
}

const extendees = Map.groupBy(file.proto.extension, (extension) => extension.extendee);
const lines = [
  "// Printed by scripts/print-validate-proto.ts from the descriptor in",
  "// @bufbuild/protovalidate (Apache-2.0, Buf Technologies, Inc.). Don't edit.",
  'syntax = "proto2";',
  "",
  `package ${file.proto.package};`,
  "",
  ...file.proto.dependency.map((dependency) => `import "${dependency}";`),
  ...[...extendees].flatMap(([extendee, extensions]) => [
    "",
    ...block(
      `extend ${extendee}`,
      extensions.map((extension) => printField(extension, labels[extension.label])),
    ),
  ]),
  ...file.proto.enumType.flatMap((enumeration) => ["", ...printEnum(enumeration)]),
  ...file.proto.messageType.flatMap((message) => ["", ...printMessage(message)]),
];
process.stdout.write(`${lines.join("\n")}\n`);

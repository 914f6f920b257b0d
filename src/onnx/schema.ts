/**
 * The messages of ONNX's protobuf format (IR version 14), as far as inference needs them: training
 * information, quantization annotations, device configurations and documentation are skipped.
 * Names and numbers are those of `onnx.proto`, in our spelling.
 */
import {
  bigint,
  bytes,
  float,
  float32Array,
  float64Array,
  int,
  int32Array,
  int64Array,
  many,
  message,
  type Schema,
  string,
  uint64Array,
} from "./wire.js";

export interface ModelProto {
  readonly irVersion?: number;
  readonly producerName?: string;
  readonly producerVersion?: string;
  readonly domain?: string;
  readonly modelVersion?: number;
  readonly graph?: GraphProto;
  readonly opsetImport: readonly OperatorSetIdProto[];
  readonly metadataProps: readonly StringStringEntryProto[];
  readonly functions: readonly FunctionProto[];
}

export interface OperatorSetIdProto {
  readonly domain?: string;
  readonly version?: number;
}

export interface StringStringEntryProto {
  readonly key?: string;
  readonly value?: string;
}

export interface GraphProto {
  readonly node: readonly NodeProto[];
  readonly name?: string;
  readonly initializer: readonly TensorProto[];
  readonly input: readonly ValueInfoProto[];
  readonly output: readonly ValueInfoProto[];
  readonly valueInfo: readonly ValueInfoProto[];
  readonly sparseInitializer: readonly SparseTensorProto[];
}

export interface FunctionProto {
  readonly name?: string;
  readonly input: readonly string[];
  readonly output: readonly string[];
  /** Names of attributes without a default. */
  readonly attribute: readonly string[];
  readonly node: readonly NodeProto[];
  readonly opsetImport: readonly OperatorSetIdProto[];
  readonly domain?: string;
  /** Attributes with their defaults. */
  readonly attributeProto: readonly AttributeProto[];
  readonly valueInfo: readonly ValueInfoProto[];
  readonly overload?: string;
}

export interface NodeProto {
  readonly input: readonly string[];
  readonly output: readonly string[];
  readonly name?: string;
  readonly opType?: string;
  readonly attribute: readonly AttributeProto[];
  readonly domain?: string;
  readonly overload?: string;
}

export interface AttributeProto {
  readonly name?: string;
  readonly f?: number;
  readonly i?: bigint;
  readonly s?: Uint8Array;
  readonly t?: TensorProto;
  readonly g?: GraphProto;
  readonly floats: readonly number[];
  readonly ints: readonly bigint[];
  readonly strings: readonly Uint8Array[];
  readonly tensors: readonly TensorProto[];
  readonly graphs: readonly GraphProto[];
  readonly tp?: TypeProto;
  /** One of {@link attributeTypes}; absent in files of IR version 1. */
  readonly type?: number;
  /** In functions: the attribute of the caller that this one takes its value from. */
  readonly refAttrName?: string;
  readonly sparseTensor?: SparseTensorProto;
}

export const attributeTypes = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
  tensors: 9,
  graphs: 10,
  sparseTensor: 11,
  sparseTensors: 12,
  typeProto: 13,
  typeProtos: 14,
} as const;

export interface TensorProto {
  readonly dims: readonly number[];
  /** A row of `onnxDTypes` in `dtypes.ts`. */
  readonly dataType?: number;
  readonly floatData: Float32Array;
  readonly int32Data: Int32Array;
  readonly stringData: readonly Uint8Array[];
  readonly int64Data: BigInt64Array;
  readonly name?: string;
  readonly rawData?: Uint8Array;
  readonly doubleData: Float64Array;
  readonly uint64Data: BigUint64Array;
  readonly externalData: readonly StringStringEntryProto[];
  /** 1: the data is in another file. */
  readonly dataLocation?: number;
}

export interface SparseTensorProto {
  readonly values?: TensorProto;
  readonly indices?: TensorProto;
  readonly dims: readonly number[];
}

export interface ValueInfoProto {
  readonly name?: string;
  readonly type?: TypeProto;
}

export interface TypeProto {
  readonly tensorType?: TensorTypeProto;
  readonly sequenceType?: ElementTypeProto;
  readonly mapType?: MapTypeProto;
  readonly sparseTensorType?: TensorTypeProto;
  readonly optionalType?: ElementTypeProto;
}

export interface TensorTypeProto {
  readonly elemType?: number;
  /** Absent where not even the rank is known. */
  readonly shape?: TensorShapeProto;
}

export interface ElementTypeProto {
  readonly elemType?: TypeProto;
}

export interface MapTypeProto {
  readonly keyType?: number;
  readonly valueType?: TypeProto;
}

export interface TensorShapeProto {
  readonly dim: readonly DimensionProto[];
}

export interface DimensionProto {
  readonly dimValue?: number;
  readonly dimParam?: string;
}

/** A file of a test set that holds a sequence. */
export interface SequenceProto {
  readonly name?: string;
  readonly elemType?: number;
  readonly tensorValues: readonly TensorProto[];
  readonly sequenceValues: readonly SequenceProto[];
  readonly optionalValues: readonly OptionalProto[];
}

/** A file of a test set that holds an optional. */
export interface OptionalProto {
  readonly name?: string;
  readonly elemType?: number;
  readonly tensorValue?: TensorProto;
  readonly sequenceValue?: SequenceProto;
  readonly optionalValue?: OptionalProto;
}

export const tensorSchema: Schema<TensorProto> = {
  name: "TensorProto",
  fields: {
    dims: many(int(1)),
    dataType: int(2),
    floatData: float32Array(4),
    int32Data: int32Array(5),
    stringData: many(bytes(6)),
    int64Data: int64Array(7),
    name: string(8),
    rawData: bytes(9),
    doubleData: float64Array(10),
    uint64Data: uint64Array(11),
    externalData: many(message(13, () => stringStringEntrySchema)),
    dataLocation: int(14),
  },
};

export const modelSchema: Schema<ModelProto> = {
  name: "ModelProto",
  fields: {
    irVersion: int(1),
    producerName: string(2),
    producerVersion: string(3),
    domain: string(4),
    modelVersion: int(5),
    graph: message(7, () => graphSchema),
    opsetImport: many(message(8, () => operatorSetIdSchema)),
    metadataProps: many(message(14, () => stringStringEntrySchema)),
    functions: many(message(25, () => functionSchema)),
  },
};

export const sequenceSchema: Schema<SequenceProto> = {
  name: "SequenceProto",
  fields: {
    name: string(1),
    elemType: int(2),
    tensorValues: many(message(3, () => tensorSchema)),
    sequenceValues: many(message(5, () => sequenceSchema)),
    optionalValues: many(message(7, () => optionalSchema)),
  },
};

export const optionalSchema: Schema<OptionalProto> = {
  name: "OptionalProto",
  fields: {
    name: string(1),
    elemType: int(2),
    tensorValue: message(3, () => tensorSchema),
    sequenceValue: message(5, () => sequenceSchema),
    optionalValue: message(7, () => optionalSchema),
  },
};

const operatorSetIdSchema: Schema<OperatorSetIdProto> = {
  name: "OperatorSetIdProto",
  fields: { domain: string(1), version: int(2) },
};

const stringStringEntrySchema: Schema<StringStringEntryProto> = {
  name: "StringStringEntryProto",
  fields: { key: string(1), value: string(2) },
};

const graphSchema: Schema<GraphProto> = {
  name: "GraphProto",
  fields: {
    node: many(message(1, () => nodeSchema)),
    name: string(2),
    initializer: many(message(5, () => tensorSchema)),
    input: many(message(11, () => valueInfoSchema)),
    output: many(message(12, () => valueInfoSchema)),
    valueInfo: many(message(13, () => valueInfoSchema)),
    sparseInitializer: many(message(15, () => sparseTensorSchema)),
  },
};

const functionSchema: Schema<FunctionProto> = {
  name: "FunctionProto",
  fields: {
    name: string(1),
    input: many(string(4)),
    output: many(string(5)),
    attribute: many(string(6)),
    node: many(message(7, () => nodeSchema)),
    opsetImport: many(message(9, () => operatorSetIdSchema)),
    domain: string(10),
    attributeProto: many(message(11, () => attributeSchema)),
    valueInfo: many(message(12, () => valueInfoSchema)),
    overload: string(13),
  },
};

const nodeSchema: Schema<NodeProto> = {
  name: "NodeProto",
  fields: {
    input: many(string(1)),
    output: many(string(2)),
    name: string(3),
    opType: string(4),
    attribute: many(message(5, () => attributeSchema)),
    domain: string(7),
    overload: string(8),
  },
};

const attributeSchema: Schema<AttributeProto> = {
  name: "AttributeProto",
  fields: {
    name: string(1),
    f: float(2),
    i: bigint(3),
    s: bytes(4),
    t: message(5, () => tensorSchema),
    g: message(6, () => graphSchema),
    floats: many(float(7)),
    ints: many(bigint(8)),
    strings: many(bytes(9)),
    tensors: many(message(10, () => tensorSchema)),
    graphs: many(message(11, () => graphSchema)),
    tp: message(14, () => typeSchema),
    type: int(20),
    refAttrName: string(21),
    sparseTensor: message(22, () => sparseTensorSchema),
  },
};

const sparseTensorSchema: Schema<SparseTensorProto> = {
  name: "SparseTensorProto",
  fields: {
    values: message(1, () => tensorSchema),
    indices: message(2, () => tensorSchema),
    dims: many(int(3)),
  },
};

const valueInfoSchema: Schema<ValueInfoProto> = {
  name: "ValueInfoProto",
  fields: { name: string(1), type: message(2, () => typeSchema) },
};

const typeSchema: Schema<TypeProto> = {
  name: "TypeProto",
  fields: {
    tensorType: message(1, () => tensorTypeSchema),
    sequenceType: message(4, () => elementTypeSchema),
    mapType: message(5, () => mapTypeSchema),
    sparseTensorType: message(8, () => tensorTypeSchema),
    optionalType: message(9, () => elementTypeSchema),
  },
};

const tensorTypeSchema: Schema<TensorTypeProto> = {
  name: "TypeProto.Tensor",
  fields: { elemType: int(1), shape: message(2, () => shapeSchema) },
};

const elementTypeSchema: Schema<ElementTypeProto> = {
  name: "TypeProto.Sequence",
  fields: { elemType: message(1, () => typeSchema) },
};

const mapTypeSchema: Schema<MapTypeProto> = {
  name: "TypeProto.Map",
  fields: { keyType: int(1), valueType: message(2, () => typeSchema) },
};

const shapeSchema: Schema<TensorShapeProto> = {
  name: "TensorShapeProto",
  fields: { dim: many(message(1, () => dimensionSchema)) },
};

const dimensionSchema: Schema<DimensionProto> = {
  name: "TensorShapeProto.Dimension",
  fields: { dimValue: int(1), dimParam: string(2) },
};

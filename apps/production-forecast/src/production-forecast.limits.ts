/**
 * Bytes that a body may have: 5,000 forecasts written without blanks take less than 625,000, so clients may indent them. A larger one is
 * refused (413) before it is read.
 */
export const BODY_LIMIT_BYTES = 1_048_576;

/**
 * Goes on with an answer: at once where it is there, else when it has come. A promise and a turn of the microtasks at each
 * layer cost as much as the look-up that they wait for.
 */
export function whenThere<T, U>(answer: T | Promise<T>, goOn: (value: T) => U | Promise<U>): U | Promise<U> {
  return answer instanceof Promise ? answer.then(goOn) : goOn(answer);
}

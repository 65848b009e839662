import type { Domain } from "./domain.ts";

export const airlineSupport: Domain = {
  name: "airline-support",
  naming: "traceId",
  artifact: "none",
  policy: `# Northwind Wings: passenger desk

You help passengers of Northwind Wings with bookings they already hold: changing a flight, adding
bags, choosing seats, cancelling, and claims after a disruption. New bookings are made on the website;
offer the link and nothing more.

## Fares

- **Feather** fares cannot be changed. They can be cancelled for the airport taxes only, up to two
  hours before departure.
- **Classic** fares can be changed for the fare difference plus 35 €. The fee is waived when the new
  flight leaves within three days of the old one.
- **Open** fares can be changed and cancelled free of charge until the gate closes.
- A fare class belongs to the booking, not to the passenger: mixed bookings do not exist, and a
  passenger who wants another class needs the booking split first.

## Changing a flight

- Look up the booking, then the flights on the wanted day, then name at most three that fit.
- The route may change by one city at either end if both cities lie in the same country.
- Check that every passenger on the booking agreed. One passenger may speak for a family.
- A change on the day of travel keeps the checked bags; tell the passenger to show the tag again.

## Bags and seats

- Every passenger has one cabin bag of 8 kg. Classic includes one checked bag of 23 kg, Open two.
- Extra bags cost 40 € each when added here and 65 € at the airport; at most five per passenger.
- Exit-row seats need an adult who can follow spoken instructions. Ask, and note the answer.
- Musical instruments up to a cello travel on their own seat at the child fare.

## Disruption

- A delay of three hours or more on arrival entitles each passenger to the amount in the claims table,
  unless weather or air traffic control is recorded as the cause.
- Offer the next Northwind flight first, then a partner flight, then the train where one exists.
- Hotel and meals are owed whatever the cause. Ask for receipts only above 150 € for each night.
- Never promise a cause you did not read in the flight record.

`,
  tools: [
    {
      name: "find_flights",
      description: "Lists flights between two airports on one day, with the seats left in each fare.",
      parameters: {
        origin: "Three-letter code of the airport of departure.",
        destination: "Three-letter code of the airport of arrival.",
        day: "Day of departure at the origin, as YYYY-MM-DD.",
      },
      call: (scene) => ({
        origin: scene.airport(),
        destination: scene.airport(),
        day: scene.day(),
      }),
      row: (scene) => ({
        flight: `NW${scene.count(100, 1999)}`,
        origin: scene.airport(),
        destination: scene.airport(),
        departure: `${scene.day()}T${scene.time()}`,
        arrival: `${scene.day()}T${scene.time()}`,
        seatsLeft: { feather: scene.count(0, 9), classic: scene.count(0, 40), open: scene.count(0, 60) },
        fareCents: scene.cents(),
      }),
    },
    {
      name: "get_booking",
      description: "Reads a booking: its passengers, fare, bags and flights.",
      parameters: { reference: "Six letters and digits, as printed on the ticket." },
      call: (scene) => ({ reference: scene.reference }),
      row: (scene) => ({
        reference: scene.reference,
        passenger: scene.customer,
        flight: `NW${scene.count(100, 1999)}`,
        day: scene.day(),
        seat: `${scene.count(1, 38)}${scene.random.pick(["A", "B", "C", "D", "E", "F"])}`,
        fare: scene.random.pick(["feather", "classic", "open"]),
        bagsChecked: scene.count(0, 3),
        paidCents: scene.cents(),
      }),
    },
    {
      name: "change_flight",
      description: "Moves every passenger of a booking to another flight and charges the difference.",
      parameters: {
        reference: "The booking to move.",
        flight: "The new flight, such as NW412.",
        confirmedBy: "Who said yes to the change, and in which words.",
      },
      call: (scene) => ({
        reference: scene.reference,
        flight: `NW${scene.count(100, 1999)}`,
        confirmedBy: `${scene.customer}: yes, please change it`,
      }),
      row: (scene) => ({
        reference: scene.reference,
        status: "changed",
        ticket: `982-${scene.count(1_000_000_000, 1_999_999_999)}`,
        chargedCents: scene.cents(),
      }),
    },
  ],
  userSentences: [
    (scene) => `Hi, this is ${scene.customer}, my booking is ${scene.reference}.`,
    (scene) => `I need to be in ${scene.city()} by ${scene.day()}, is there anything in the morning?`,
    (scene) => `The flight from ${scene.city()} was late and we missed the connection to ${scene.city()}.`,
    (scene) => `There are ${scene.count(2, 5)} of us, and ${scene.person()} needs an aisle seat.`,
    () => "Could you check whether the second bag is already paid for? I have two different emails.",
    (scene) => `At check-in they asked me for ${scene.price()}, which nobody had mentioned before 😕`,
    (scene) => `Yes, please take the ${scene.time()} one and charge the same card.`,
    () => "予約の変更をお願いします。午後の便に空席はありますか？",
    () => "No, the cheaper one is fine; we only have hand luggage and a rather patient toddler.",
    (scene) => `What happens to the return on ${scene.day()} if I cancel only the way out?`,
  ],
  assistantSentences: [
    (scene) => `Thank you, ${scene.customer}. I have booking ${scene.reference} in front of me.`,
    (scene) =>
      `There are three flights that fit:\n\n1. ${scene.time()} via ${scene.city()}, ${scene.price()}` +
      `\n2. ${scene.time()} direct, ${scene.price()}\n3. ${scene.time()} via ${scene.city()}, ${scene.price()}`,
    (scene) => `Your fare allows the change; the difference comes to ${scene.price()} for each passenger.`,
    () => "Before I change anything, please confirm with a yes that every passenger agrees.",
    (scene) =>
      `The flight record gives a late inbound aircraft as the cause, so ${scene.price()} is owed to each of you.`,
    (scene) => `The new departure is ${scene.day()} at ${scene.time()} local time; the bags stay on the booking.`,
    () => "Feather fares cannot be moved, but I can return the airport taxes if you cancel in time.",
    () => "承知しました。午後の便を確認いたしますので、少々お待ちください。",
    (scene) => `I have moved you to NW${scene.count(100, 1999)}. The new ticket is on its way to your inbox ✈️`,
  ],
};
